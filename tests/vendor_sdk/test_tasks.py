"""Migration tasks, as a program of the SDK would run them."""

import unittest

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import (
    BandwidthPolicyDto,
    BatchUpdateTasksReq,
    BatchUpdateTasksRequest,
    CreateTaskReq,
    CreateTaskRequest,
    DeleteTaskRequest,
    ListFile,
    ListTasksRequest,
    ShowTaskRequest,
    SmnConfig,
    SourceCdnReq,
    StartTaskReq,
    StartTaskRequest,
    StopTaskRequest,
    UpdateBandwidthPolicyReq,
    UpdateBandwidthPolicyRequest,
)

from place import (
    CDN_BUCKET,
    CDN_DOMAIN,
    DESTINATION,
    FAILED,
    REGION,
    RUNNING,
    SOURCE,
    STOPPED,
    SUCCEEDED,
    WAITING,
    Case,
)

MIB = 1024 * 1024
#: Holds a task up, so that it can be met while it runs.
SLOW = [BandwidthPolicyDto(start="00:00", end="23:59", max_bandwidth=MIB)]


class Tasks(Case):
    def slow_task(self, **changes):
        """A task that runs for a good while."""
        for number in range(8):
            self.put(f"slow/{number}", bytes(MIB))
        return self.running(self.create(bandwidth_policy=SLOW, **changes))

    def start(self, task, **changes):
        keys = {
            "src_ak": SOURCE.access_key,
            "src_sk": SOURCE.secret_key,
            "dst_ak": DESTINATION.access_key,
            "dst_sk": DESTINATION.secret_key,
        }
        self.oms.start_task(StartTaskRequest(task_id=task, body=StartTaskReq(**{**keys, **changes})))

    def test_a_bucket_is_migrated_object_by_object(self):
        photos = {f"2024/{name}.jpg": f"the photo {name}".encode() * 100 for name in ("a", "b", "c d", "e+f", "ü")}
        for key, contents in photos.items():
            self.put(key, contents)
        task = self.create(description="weekly photos")
        shown = self.reach(task, SUCCEEDED)
        for key, contents in photos.items():
            self.assertEqual(self.arrived(key), contents, key)
        self.assertEqual((shown.total_num, shown.successful_num, shown.failed_num), (5, 5, 0))
        self.assertEqual(shown.total_size, sum(map(len, photos.values())))
        self.assertEqual(shown.progress, 1.0)
        self.assertEqual(shown.description, "weekly photos")
        self.assertEqual((shown.src_node.bucket, shown.dst_node.bucket), (self.source, self.destination))
        self.assertEqual(shown.task_type, "prefix")
        self.assertIsNone(shown.error_reason)

    def test_objects_of_a_list_of_keys_go_below_a_prefix(self):
        self.put("a.txt", b"a")
        self.put("b.txt", b"b")
        self.put("folder/c.txt", b"c")
        task = self.create(
            task_type="object",
            src_node=self.src_node(object_key=["a.txt", "folder/"]),
            dst_node=self.dst_node(save_prefix="imported/"),
        )
        self.reach(task, SUCCEEDED)
        self.assertEqual(self.arrived("imported/a.txt"), b"a")
        self.assertEqual(self.arrived("imported/folder/c.txt"), b"c")
        self.assertIsNone(self.arrived("imported/b.txt"))

    def test_a_list_file_says_what_is_copied(self):
        self.put("one", b"1")
        self.put("two", b"2")
        DESTINATION.store.put(self.destination, "lists/keys.txt", b"one\n", {"content-type": "text/plain"})
        file = ListFile(obs_bucket=self.destination, list_file_key="lists/keys.txt")
        task = self.create(task_type="list", src_node=self.src_node(object_key=None, list_file=file))
        self.reach(task, SUCCEEDED)
        self.assertEqual(self.arrived("one"), b"1")
        self.assertIsNone(self.arrived("two"))

    @unittest.skipUnless(CDN_BUCKET, "no CDN is known")
    def test_objects_come_through_a_cdn(self):
        SOURCE.store.make_bucket(CDN_BUCKET)
        SOURCE.store.put(CDN_BUCKET, "through/b c", b"by way of the CDN")
        task = self.create(
            src_node=self.src_node(bucket=CDN_BUCKET, object_key=["through/"]),
            source_cdn=SourceCdnReq(domain=CDN_DOMAIN, protocol="http", authentication_type="NONE"),
        )
        self.reach(task, SUCCEEDED)
        self.assertEqual(self.arrived("through/b c"), b"by way of the CDN")

    def test_a_task_is_stopped_and_goes_on(self):
        task = self.slow_task()
        stopped = self.stop(task)
        self.assertLess(stopped.successful_num, 8)
        self.oms.update_bandwidth_policy(
            UpdateBandwidthPolicyRequest(task_id=task, body=UpdateBandwidthPolicyReq(bandwidth_policy=[]))
        )
        self.assertEqual(self.show(task).bandwidth_policy, [])
        self.start(task)
        shown = self.reach(task, SUCCEEDED)
        self.assertEqual((shown.total_num, shown.successful_num), (8, 8))
        self.assertEqual(self.arrived("slow/7"), bytes(MIB))

    def test_the_bandwidth_of_a_running_task_is_changed(self):
        task = self.slow_task()
        windows = [
            BandwidthPolicyDto(start="08:00", end="12:00", max_bandwidth=5 * MIB),
            BandwidthPolicyDto(start="12:00", end="20:00", max_bandwidth=200 * MIB),
        ]
        self.oms.update_bandwidth_policy(
            UpdateBandwidthPolicyRequest(task_id=task, body=UpdateBandwidthPolicyReq(bandwidth_policy=windows))
        )
        shown = self.show(task).bandwidth_policy
        self.assertEqual([(w.start, w.end, w.max_bandwidth) for w in shown],
                         [("08:00", "12:00", 5 * MIB), ("12:00", "20:00", 200 * MIB)])

    def test_several_tasks_are_changed_at_once(self):
        tasks = [self.slow_task(), self.slow_task()]
        for task in tasks:
            self.stop(task)
        body = BatchUpdateTasksReq(ids=tasks, bandwidth_policy=SLOW, task_priority="HIGH")
        self.oms.batch_update_tasks(BatchUpdateTasksRequest(body=body))
        for task in tasks:
            shown = self.show(task)
            self.assertEqual(shown.task_priority, "HIGH")
            self.assertEqual(shown.bandwidth_policy[0].max_bandwidth, MIB)

    def test_a_failed_task_tells_why_and_is_started_again(self):
        self.put("a", b"a")
        task = self.create(src_node=self.src_node(sk="wrong"))
        failed = self.reach(task, FAILED)
        self.assertTrue(failed.error_reason.error_code.startswith("TRF."), failed.error_reason)
        self.assertTrue(failed.error_reason.error_msg)
        self.start(task)
        self.reach(task, SUCCEEDED)
        self.assertEqual(self.arrived("a"), b"a")

    def test_a_task_is_deleted_when_it_is_over(self):
        self.put("a", b"a")
        task = self.create()
        self.reach(task, SUCCEEDED)
        self.oms.delete_task(DeleteTaskRequest(task_id=task))
        with self.assertRaises(ClientRequestException) as refused:
            self.show(task)
        self.assertEqual(refused.exception.error_code, "OMS.1009")

    def test_a_running_task_is_not_deleted(self):
        task = self.slow_task()
        with self.assertRaises(ClientRequestException) as refused:
            self.oms.delete_task(DeleteTaskRequest(task_id=task))
        self.assertEqual(refused.exception.error_code, "OMS.0063")
        self.stop(task)

    def test_a_finished_task_is_not_stopped(self):
        self.put("a", b"a")
        task = self.create()
        self.reach(task, SUCCEEDED)
        with self.assertRaises(ClientRequestException) as refused:
            self.oms.stop_task(StopTaskRequest(task_id=task))
        self.assertEqual(refused.exception.status_code, 400)
        self.assertEqual(refused.exception.error_code, "OMS.0070")

    def test_all_tasks_are_found_page_by_page(self):
        self.put("a", b"a")
        made = {self.create() for _ in range(7)}
        for task in made:
            self.reach(task, SUCCEEDED)
        found, offset = [], 0
        while True:
            page = self.oms.list_tasks(ListTasksRequest(limit=3, offset=offset))
            found += [task.id for task in page.tasks]
            offset += len(page.tasks)
            if not page.tasks:
                break
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(len(found), page.count)
        self.assertLessEqual(made, set(found))

    def test_tasks_are_filtered_by_state_and_name(self):
        self.put("a", b"a")
        task = self.create()
        name = self.reach(task, SUCCEEDED).name
        found = self.oms.list_tasks(ListTasksRequest(status=SUCCEEDED, task_name=name, limit=100))
        self.assertIn(task, [shown.id for shown in found.tasks])
        self.assertTrue(all(name in shown.name and shown.status == SUCCEEDED for shown in found.tasks))
        for status in (WAITING, RUNNING, STOPPED, FAILED):
            ids = [t.id for t in self.oms.list_tasks(ListTasksRequest(status=status, limit=100)).tasks]
            self.assertNotIn(task, ids)

    def test_every_setting_is_echoed(self):
        self.put("a", b"a")
        request = CreateTaskReq(
            task_type="prefix",
            src_node=self.src_node(crypto_type="DEFAULT"),
            dst_node=self.dst_node(save_prefix="in/", crypto_type="DEFAULT"),
            description="all of it",
            migrate_since=1,
            bandwidth_policy=SLOW,
            source_cdn=SourceCdnReq(
                domain=CDN_DOMAIN, protocol="http", authentication_type="NONE"
            ),
            smn_config=SmnConfig(
                topic_urn=f"urn:smn:{REGION}:4cf2090802d94440b4cdd72ef26857b2:OMS",
                trigger_conditions=["SUCCESS", "FAILURE"],
                language="en-us",
            ),
            enable_metadata_migration=True,
            enable_restore=False,
            enable_failed_object_recording=True,
            object_overwrite_mode="NO_OVERWRITE",
            dst_storage_policy="IA",
            consistency_check="size_last_modified",
            enable_requester_pays=False,
            task_priority="LOW",
        )
        task = self.oms.create_task(CreateTaskRequest(body=request)).id
        shown = self.oms.show_task(ShowTaskRequest(task_id=task))
        for member in (
            "description",
            "enable_metadata_migration",
            "enable_restore",
            "enable_failed_object_recording",
            "object_overwrite_mode",
            "dst_storage_policy",
            "consistency_check",
            "enable_requester_pays",
            "task_priority",
            "task_type",
        ):
            self.assertEqual(getattr(shown, member), getattr(request, member), member)
        self.assertEqual(shown.dst_node.save_prefix, "in/")
        self.assertEqual((shown.source_cdn.domain, shown.source_cdn.protocol), (CDN_DOMAIN, "http"))
        self.assertEqual(shown.group_type, "NORMAL_TASK")


if __name__ == "__main__":
    unittest.main()
