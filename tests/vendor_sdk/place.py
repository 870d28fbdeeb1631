"""Where everything is, told by the variables that `make dev` writes to .dev/env, and what every program of the SDK
starts with: credentials and a client."""

import os
import time
import unittest
import uuid

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkoms.v2 import (
    CreateTaskReq,
    CreateTaskRequest,
    DstNodeReq,
    OmsClient,
    ShowTaskRequest,
    SrcNodeReq,
    StopTaskRequest,
    UpdatePrivacyAgreementRecordRequest,
)

from store import Store

ENDPOINT = os.environ["OMS_ENDPOINT"]
ADMIN = os.environ["OMS_ADMIN_ENDPOINT"]
PROJECT = os.environ["OMS_PROJECT_ID"]
REGION = os.environ.get("OMS_REGION", "cn-north-4")
ACCESS_KEY = os.environ["OMS_ACCESS_KEY"]
SECRET_KEY = os.environ["OMS_SECRET_KEY"]
#: A CDN, and the bucket that it is in front of; None where there is no CDN.
CDN_DOMAIN = os.environ.get("OMS_CDN_DOMAIN", "cdn.example.test")
CDN_BUCKET = os.environ.get("OMS_CDN_BUCKET")

WAITING, RUNNING, STOPPED, FAILED, SUCCEEDED, STOPPING = 1, 2, 3, 4, 5, 7

#: No condition takes longer than this, in seconds.
PATIENCE = 60


class Side:
    """One side of a migration: a store, its cloud and its keys."""

    def __init__(self, name):
        self.endpoint = os.environ[f"S3_{name}_ENDPOINT"]
        self.access_key = os.environ[f"S3_{name}_ACCESS_KEY"]
        self.secret_key = os.environ[f"S3_{name}_SECRET_KEY"]
        self.region = os.environ[f"S3_{name}_REGION"]
        self.cloud = os.environ[f"S3_{name}_CLOUD"]
        self.store = Store(self.endpoint, self.access_key, self.secret_key)


SOURCE = Side("SOURCE")
DESTINATION = Side("DESTINATION")


def client(
    access_key=ACCESS_KEY,
    secret_key=SECRET_KEY,
    token=None,
    project=PROJECT,
    region=None,
    iam_endpoint=None,
    retries=0,
):
    credentials = BasicCredentials(access_key, secret_key, project)
    if token:
        credentials = credentials.with_security_token(token)
    config = HttpConfig.get_default_config()
    config.timeout = (10, 60)
    config.retry_times = retries
    builder = OmsClient.new_builder().with_http_config(config)
    if region:
        credentials = credentials.with_iam_endpoint(iam_endpoint)
        return builder.with_credentials(credentials).with_region(Region(region, ENDPOINT)).build()
    return builder.with_credentials(credentials).with_endpoint(ENDPOINT).build()


def until(condition, what):
    """What the condition returns, once that is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true in {PATIENCE} s")


class Case(unittest.TestCase):
    """A test with a client, and with buckets of its own."""

    @classmethod
    def setUpClass(cls):
        cls.oms = client()
        cls.oms.update_privacy_agreement_record(UpdatePrivacyAgreementRecordRequest())

    def setUp(self):
        mark = uuid.uuid4().hex[:12]
        self.source, self.destination = f"photos-{mark}", f"archive-{mark}"
        SOURCE.store.make_bucket(self.source)
        DESTINATION.store.make_bucket(self.destination)

    def put(self, key, contents, **headers):
        SOURCE.store.put(self.source, key, contents, headers)

    def arrived(self, key):
        """What is under the key in the destination, or None."""
        return DESTINATION.store.get(self.destination, key)

    def src_node(self, **changes):
        node = {
            "cloud_type": SOURCE.cloud,
            "region": SOURCE.region,
            "bucket": self.source,
            "ak": SOURCE.access_key,
            "sk": SOURCE.secret_key,
            "object_key": [""],
        }
        return SrcNodeReq(**{**node, **changes})

    def dst_node(self, **changes):
        node = {
            "region": REGION,
            "bucket": self.destination,
            "ak": DESTINATION.access_key,
            "sk": DESTINATION.secret_key,
        }
        return DstNodeReq(**{**node, **changes})

    def create(self, **changes):
        """Creates a task for the whole bucket, with changes, and returns its ID."""
        body = {"task_type": "prefix", "src_node": self.src_node(), "dst_node": self.dst_node()}
        request = CreateTaskRequest(body=CreateTaskReq(**{**body, **changes}))
        return self.oms.create_task(request).id

    def show(self, task):
        return self.oms.show_task(ShowTaskRequest(task_id=task))

    def reach(self, task, *statuses):
        """The task, once it is in one of the states."""
        ended = (STOPPED, FAILED, SUCCEEDED)

        def look():
            shown = self.show(task)
            if shown.status in statuses:
                return shown
            self.assertNotIn(shown.status, ended, f"{shown.error_reason}")
            return None

        return until(look, f"state {statuses} of task {task}")

    def running(self, task):
        """Lets a task that has something to do come to the state in which it can be stopped."""
        self.reach(task, RUNNING)
        return task

    def stop(self, task):
        self.oms.stop_task(StopTaskRequest(task_id=task))
        return self.reach(task, STOPPED)
