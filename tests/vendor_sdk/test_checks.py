"""What the service can find out before a migration: buckets, objects, regions, prefixes, CDNs, lists of URLs."""

import unittest

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import (
    CheckPrefixReq,
    CheckPrefixRequest,
    CheckUrlSourceListFileFormatReq,
    CheckUrlSourceListFileFormatRequest,
    ListBucketsReq,
    PrefixKeyInfo,
    ShowBucketListRequest,
    ShowBucketObjectsRequest,
    ShowBucketRegionReq,
    ShowBucketRegionRequest,
    ShowBucketReq,
    ShowCdnInfoReq,
    ShowCdnInfoRequest,
    ShowCloudTypeRequest,
    ShowRegionInfoRequest,
    SourceCdnReq,
)

from place import CDN_BUCKET, CDN_DOMAIN, DESTINATION, REGION, SOURCE, Case


class Checks(Case):
    def account(self, **changes):
        return {
            "cloud_type": SOURCE.cloud,
            "ak": SOURCE.access_key,
            "sk": SOURCE.secret_key,
            **changes,
        }

    def test_the_buckets_of_an_account_are_listed(self):
        names = self.oms.show_bucket_list(ShowBucketListRequest(body=ListBucketsReq(**self.account()))).body
        self.assertIn(self.source, names)

    def test_wrong_keys_list_nothing(self):
        with self.assertRaises(ClientRequestException) as refused:
            body = ListBucketsReq(**self.account(sk="wrong"))
            self.oms.show_bucket_list(ShowBucketListRequest(body=body))
        self.assertEqual(refused.exception.status_code, 400)
        self.assertTrue(refused.exception.error_code.startswith("OMS."))

    def test_the_objects_of_a_folder_are_listed_page_by_page(self):
        keys = [f"2024/{number:03}" for number in range(7)]
        for key in keys:
            self.put(key, b"x")
        self.put("2025/elsewhere", b"x")
        found, marker = [], ""
        for _ in range(len(keys)):
            body = ShowBucketReq(
                **self.account(),
                bucket_name=self.source,
                data_center=SOURCE.region,
                file_path="2024/",
                page_size=3,
                behind_filename=marker,
            )
            page = self.oms.show_bucket_objects(ShowBucketObjectsRequest(body=body))
            self.assertLessEqual(len(page.records), 3)
            found += [record.name for record in page.records]
            marker = page.next_marker
            if not page.next_page or not marker:
                break
        self.assertEqual(len(found), len(keys))
        self.assertEqual([name.split("/")[-1] for name in found], [key.split("/")[-1] for key in keys])

    def test_a_bucket_tells_its_region(self):
        body = ShowBucketRegionReq(**self.account(), bucket_name=self.source)
        region = self.oms.show_bucket_region(ShowBucketRegionRequest(body=body))
        self.assertTrue(region.id)
        self.assertTrue(region.name)

    def test_a_bucket_that_does_not_exist_has_no_region(self):
        with self.assertRaises(ClientRequestException) as refused:
            body = ShowBucketRegionReq(**self.account(), bucket_name="never-made")
            self.oms.show_bucket_region(ShowBucketRegionRequest(body=body))
        self.assertEqual(refused.exception.status_code, 400)

    def test_a_prefix_is_there_or_not(self):
        self.put("2024/a", b"a")
        for prefix, exists in (("2024/", True), ("20", True), ("1999/", False)):
            body = CheckPrefixReq(
                **self.account(), bucket_name=self.source, data_center=SOURCE.region, file_name=prefix
            )
            self.assertIs(self.oms.check_prefix(CheckPrefixRequest(body=body)).exist, exists, prefix)

    @unittest.skipUnless(CDN_BUCKET, "no CDN is known")
    def test_a_cdn_is_compared_with_its_bucket(self):
        SOURCE.store.make_bucket(CDN_BUCKET)
        SOURCE.store.put(CDN_BUCKET, "a", b"a")
        body = ShowCdnInfoReq(
            **self.account(),
            region=SOURCE.region,
            bucket=CDN_BUCKET,
            prefix=PrefixKeyInfo(keys=["a", "never-put"]),
            source_cdn=SourceCdnReq(domain=CDN_DOMAIN, protocol="http", authentication_type="NONE"),
        )
        answer = self.oms.show_cdn_info(ShowCdnInfoRequest(body=body))
        self.assertTrue(answer.is_same_cloud_type)
        self.assertTrue(answer.is_download_available)
        keys = {key.key: (key.is_object_existing, key.is_etag_matching) for key in answer.checked_keys}
        self.assertEqual(keys, {"a": (True, True), "never-put": (False, False)})

    def check_list(self, key):
        body = CheckUrlSourceListFileFormatReq(
            obs_bucket=self.destination,
            list_file_key=key,
            ak=DESTINATION.access_key,
            sk=DESTINATION.secret_key,
            region=REGION,
        )
        return self.oms.check_url_source_list_file_format(CheckUrlSourceListFileFormatRequest(body=body))

    def put_list(self, key, text, content_type="text/plain"):
        DESTINATION.store.put(self.destination, key, text.encode(), {"content-type": content_type})

    def test_a_good_list_of_urls_passes(self):
        self.put_list("urls.txt", "http://files.example.test/a.jpg\thello.jpg\n")
        self.assertEqual(self.check_list("urls.txt").status_code, 200)

    def test_a_bad_list_of_urls_is_refused(self):
        self.put_list("wrong.txt", "ftp://files.example.test/a.jpg\n")
        self.put_list("kind.txt", "http://files.example.test/a.jpg\n", "application/json")
        for key in ("wrong.txt", "kind.txt", "never-put.txt"):
            with self.assertRaises(ClientRequestException, msg=key) as refused:
                self.check_list(key)
            self.assertEqual(refused.exception.status_code, 400, key)
            self.assertRegex(refused.exception.error_code, r"^OMS\.01[78]\d$", key)

    def test_clouds_and_regions_are_told(self):
        sources = self.oms.show_cloud_type(ShowCloudTypeRequest(type="src")).body
        self.assertIn("AWS", sources)
        self.assertIn("URLSource", sources)
        self.assertTrue(self.oms.show_cloud_type(ShowCloudTypeRequest(type="dst")).body)
        regions = self.oms.show_region_info(ShowRegionInfoRequest()).body
        by_cloud = {cloud.service_name: [region.value for region in cloud.region_list] for cloud in regions}
        self.assertIn("us-east-1", by_cloud["AWS"])


if __name__ == "__main__":
    unittest.main()
