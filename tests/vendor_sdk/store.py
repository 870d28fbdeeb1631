"""A small S3 client, so that the tests need nothing but the SDK: AWS Signature Version 4 over http.client."""

import datetime
import hashlib
import hmac
import http.client
from urllib.parse import quote, urlsplit


class Store:
    def __init__(self, endpoint, access_key, secret_key, region="us-east-1"):
        self.address = urlsplit(endpoint)
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region

    def make_bucket(self, bucket):
        """Makes the bucket, unless it is there already."""
        self._call("PUT", f"/{bucket}", fine=(409,))

    def put(self, bucket, key, contents, headers=None):
        self._call("PUT", f"/{bucket}/{quote(key, safe='/~')}", contents, headers or {})

    def get(self, bucket, key):
        """The object's contents, or None where there is none."""
        return self._call("GET", f"/{bucket}/{quote(key, safe='/~')}", fine=(404,))

    def _call(self, method, path, body=b"", headers=None, fine=()):
        """What is answered; None where the status is one of those that are fine too."""
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        signed = {
            "host": self.address.netloc,
            "x-amz-content-sha256": digest,
            "x-amz-date": moment,
        }
        for name, value in (headers or {}).items():
            signed[name.replace("_", "-").lower()] = value
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        try:
            connection.request(method, path, body, signed)
            answer = connection.getresponse()
            contents = answer.read()
        finally:
            connection.close()
        if answer.status in fine:
            return None
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {contents!r}")
        return contents
