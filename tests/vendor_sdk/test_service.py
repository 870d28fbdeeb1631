"""Versions, consent, identity, and what a program meets when something is wrong."""

import json
import os
import unittest
import urllib.request

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, ServerResponseException
from huaweicloudsdkoms.v2 import (
    ListApiVersionsRequest,
    ListTasksRequest,
    ShowApiInfoRequest,
    ShowTaskRequest,
    UpdatePrivacyAgreementRecordRequest,
)

from place import ADMIN, ENDPOINT, REGION, Case, client


class Fault:
    """A fault of the service, for as long as the block lasts."""

    def __init__(self, **fault):
        self.fault = fault

    def __enter__(self):
        body = json.dumps(self.fault).encode()
        request = urllib.request.Request(
            f"{ADMIN}/faults", body, {"content-type": "application/json"}, method="POST"
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()

    def __exit__(self, *_):
        request = urllib.request.Request(f"{ADMIN}/faults", method="DELETE")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()


class Service(Case):
    def refused(self, call, status, code):
        with self.assertRaises(ClientRequestException) as refused:
            call()
        problem = refused.exception
        self.assertEqual((problem.status_code, problem.error_code), (status, code), problem.error_msg)
        self.assertTrue(problem.error_msg)
        self.assertRegex(problem.request_id, "^[0-9a-f]{32}$")
        return problem

    def test_the_versions_are_listed_and_shown(self):
        versions = self.oms.list_api_versions(ListApiVersionsRequest()).versions
        self.assertIn("v2", [version.id for version in versions])
        for version in versions:
            shown = self.oms.show_api_info(ShowApiInfoRequest(version=version.id))
            self.assertEqual((shown.id, shown.status, shown.updated), (version.id, version.status, version.updated))
            self.assertEqual(shown.links[0].rel, "self")
            self.assertIn(shown.status, ("CURRENT", "DEPRECATED", "SUPPORTED"))

    def test_an_unknown_version_is_refused(self):
        self.refused(lambda: self.oms.show_api_info(ShowApiInfoRequest(version="v9")), 404, "S3M.0256")

    def test_consent_can_be_given_again(self):
        for _ in range(2):
            answer = self.oms.update_privacy_agreement_record(UpdatePrivacyAgreementRecordRequest())
            self.assertEqual(answer.status_code, 200)

    def test_a_task_that_does_not_exist_is_refused_by_code(self):
        self.refused(lambda: self.oms.show_task(ShowTaskRequest(task_id=191297407830872)), 400, "OMS.1009")

    def test_a_wrong_secret_is_refused_by_the_gateway(self):
        stranger = client(secret_key="wrong")
        problem = self.refused(lambda: stranger.list_tasks(ListTasksRequest(limit=1)), 401, "APIGW.0301")
        self.assertNotIn("wrong", str(problem))

    def test_an_unknown_key_is_refused_by_the_gateway(self):
        stranger = client(access_key="NEVERHEARDOF")
        self.refused(lambda: stranger.list_tasks(ListTasksRequest(limit=1)), 401, "APIGW.0301")

    def test_a_destination_in_another_region_is_refused(self):
        self.refused(lambda: self.create(dst_node=self.dst_node(region="cn-east-3")), 400, "S3M.0080")

    def test_a_destination_that_does_not_exist_is_refused(self):
        self.refused(lambda: self.create(dst_node=self.dst_node(bucket="never-made")), 400, "OMS.1020")

    def test_throttling_is_told_by_status(self):
        # The SDK keeps the body of a 429 to itself.
        with Fault(operation="ListTasks", kind="throttle", times=1):
            with self.assertRaises(ClientRequestException) as refused:
                self.oms.list_tasks(ListTasksRequest(limit=1))
        self.assertEqual(refused.exception.status_code, 429)

    def test_a_client_that_tries_again_does_not_notice_throttling(self):
        patient = client(retries=2)
        with Fault(operation="ListTasks", kind="throttle", times=1):
            self.assertEqual(patient.list_tasks(ListTasksRequest(limit=1)).status_code, 200)

    def test_a_failure_of_the_service_is_another_kind_of_exception(self):
        fault = Fault(operation="ListTasks", kind="status", status=503, code="OMS.0001", message="later", times=1)
        with fault, self.assertRaises(ServerResponseException) as failed:
            self.oms.list_tasks(ListTasksRequest(limit=1))
        self.assertEqual((failed.exception.status_code, failed.exception.error_code), (503, "OMS.0001"))

    def test_the_project_is_found_by_the_region(self):
        iam = os.environ.get("OMS_IAM_ENDPOINT", ENDPOINT)
        found = client(project=None, region=REGION, iam_endpoint=iam)
        self.assertEqual(
            found.list_tasks(ListTasksRequest(limit=1)).count,
            self.oms.list_tasks(ListTasksRequest(limit=1)).count,
        )

    @unittest.skipUnless("OMS_TEMPORARY_TOKEN" in os.environ, "no temporary keys are known")
    def test_temporary_keys_come_with_their_token(self):
        keys = {
            "access_key": os.environ["OMS_TEMPORARY_ACCESS_KEY"],
            "secret_key": os.environ["OMS_TEMPORARY_SECRET_KEY"],
        }
        guest = client(token=os.environ["OMS_TEMPORARY_TOKEN"], **keys)
        self.assertEqual(guest.list_tasks(ListTasksRequest(limit=1)).status_code, 200)
        with self.assertRaises(ClientRequestException) as refused:
            client(**keys).list_tasks(ListTasksRequest(limit=1))
        self.assertEqual(refused.exception.status_code, 401)
        with self.assertRaises(ClientRequestException) as refused:
            client(token="another", **keys).list_tasks(ListTasksRequest(limit=1))
        self.assertEqual(refused.exception.status_code, 401)


if __name__ == "__main__":
    unittest.main()
