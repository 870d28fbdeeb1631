"""Task groups: one large migration that the service splits by itself."""

import unittest

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import (
    BandwidthPolicyDto,
    BatchUpdateTasksReq,
    BatchUpdateTasksRequest,
    CreateTaskGroupReq,
    CreateTaskGroupRequest,
    DeleteTaskGroupRequest,
    ListFile,
    ListTaskGroupRequest,
    ListTasksRequest,
    RetryTaskGroupReq,
    RetryTaskGroupRequest,
    ShowTaskGroupRequest,
    StartTaskGroupReq,
    StartTaskGroupRequest,
    StopTaskGroupRequest,
    TaskGroupDstNode,
    TaskGroupSrcNode,
    UpdateBandwidthPolicyReq,
    UpdateTaskGroupRequest,
)

from place import DESTINATION, REGION, SOURCE, Case, until

MIB = 1024 * 1024
MONITORING, STOPPED, CREATION_FAILED, FAILED, COMPLETED = 2, 3, 4, 5, 6
SLOW = [BandwidthPolicyDto(start="00:00", end="23:59", max_bandwidth=MIB)]


class Groups(Case):
    def create_group(self, **changes):
        source = {
            "cloud_type": SOURCE.cloud,
            "region": SOURCE.region,
            "bucket": self.source,
            "ak": SOURCE.access_key,
            "sk": SOURCE.secret_key,
            "object_key": [""],
        }
        source = {**source, **changes.pop("source", {})}
        destination = TaskGroupDstNode(
            region=REGION,
            bucket=self.destination,
            ak=DESTINATION.access_key,
            sk=DESTINATION.secret_key,
            cloud_type="HEC",
        )
        body = CreateTaskGroupReq(
            **{
                "task_type": "PREFIX",
                "src_node": TaskGroupSrcNode(**source),
                "dst_node": destination,
                **changes,
            }
        )
        return self.oms.create_task_group(CreateTaskGroupRequest(body=body)).group_id

    def show_group(self, group):
        return self.oms.show_task_group(ShowTaskGroupRequest(group_id=group))

    def reach_group(self, group, *statuses):
        def look():
            shown = self.show_group(group)
            if shown.status in statuses:
                return shown
            self.assertNotIn(shown.status, (CREATION_FAILED, FAILED, COMPLETED), f"{shown.error_reason}")
            return None

        return until(look, f"state {statuses} of group {group}")

    def members(self, group):
        return self.oms.list_tasks(ListTasksRequest(group_id=group, limit=100)).tasks

    def keys(self):
        return {
            "src_ak": SOURCE.access_key,
            "src_sk": SOURCE.secret_key,
            "dst_ak": DESTINATION.access_key,
            "dst_sk": DESTINATION.secret_key,
        }

    def slow_group(self):
        for number in range(8):
            self.put(f"slow/{number}", bytes(MIB))
        group = self.create_group(bandwidth_policy=SLOW)
        self.reach_group(group, MONITORING)
        until(lambda: any(task.status == 2 for task in self.members(group)), "a running member")
        return group

    def test_a_bucket_is_migrated_by_a_group(self):
        for number in range(20):
            self.put(f"photos/{number}", f"photo {number}".encode())
        group = self.create_group(description="all of them")
        shown = self.reach_group(group, COMPLETED)
        self.assertEqual((shown.group_id, shown.task_type), (group, "PREFIX"))
        self.assertEqual(shown.src_node.cloud_type, SOURCE.cloud.upper())
        self.assertEqual((shown.total_num, shown.success_num, shown.fail_num), (20, 20, 0))
        self.assertEqual(self.arrived("photos/19"), b"photo 19")
        members = self.members(group)
        self.assertTrue(members)
        for task in members:
            self.assertEqual((task.group_id, task.group_type), (group, "GROUP_TASK"))
        self.assertEqual(sum(task.successful_num for task in members), 20)

    def test_a_group_is_stopped_changed_and_started(self):
        group = self.slow_group()
        self.oms.stop_task_group(StopTaskGroupRequest(group_id=group))
        self.reach_group(group, STOPPED)
        self.oms.batch_update_tasks(
            BatchUpdateTasksRequest(body=BatchUpdateTasksReq(group_id=group, bandwidth_policy=[]))
        )
        self.oms.start_task_group(
            StartTaskGroupRequest(group_id=group, body=StartTaskGroupReq(**self.keys()))
        )
        self.reach_group(group, COMPLETED)
        self.assertEqual(self.arrived("slow/7"), bytes(MIB))

    def test_the_bandwidth_of_a_group_is_changed(self):
        group = self.slow_group()
        windows = [BandwidthPolicyDto(start="08:00", end="12:00", max_bandwidth=5 * MIB)]
        self.oms.update_task_group(
            UpdateTaskGroupRequest(group_id=group, body=UpdateBandwidthPolicyReq(bandwidth_policy=windows))
        )
        shown = self.show_group(group).bandwidth_policy
        self.assertEqual([(w.start, w.end, w.max_bandwidth) for w in shown], [("08:00", "12:00", 5 * MIB)])
        self.reach_group(group, COMPLETED)

    def test_a_failed_group_is_retried(self):
        self.put("a", b"a")
        group = self.create_group(source={"sk": "wrong"})
        until(lambda: self.show_group(group).status in (CREATION_FAILED, FAILED), "a failed group")
        self.oms.retry_task_group(
            RetryTaskGroupRequest(
                group_id=group, body=RetryTaskGroupReq(migrate_failed_object=False, **self.keys())
            )
        )
        until(lambda: self.show_group(group).status == COMPLETED, "a completed group")
        self.assertEqual(self.arrived("a"), b"a")

    def test_list_files_of_a_folder_say_what_is_copied(self):
        for name in ("one", "two", "three"):
            self.put(name, name.encode())
        for number, name in enumerate(("one", "two")):
            DESTINATION.store.put(
                self.destination, f"lists/{number}.txt", f"{name}\n".encode(), {"content-type": "text/plain"}
            )
        file = ListFile(obs_bucket=self.destination, list_file_key="lists/")
        group = self.create_group(task_type="LIST", source={"object_key": None, "list_file": file})
        self.reach_group(group, COMPLETED)
        self.assertEqual(self.arrived("one"), b"one")
        self.assertEqual(self.arrived("two"), b"two")
        self.assertIsNone(self.arrived("three"))

    def test_groups_are_listed_page_by_page_and_deleted_with_their_tasks(self):
        self.put("a", b"a")
        made = {self.create_group() for _ in range(3)}
        for group in made:
            self.reach_group(group, COMPLETED)
        found, offset = [], 0
        while True:
            page = self.oms.list_task_group(ListTaskGroupRequest(limit=2, offset=offset, status=COMPLETED))
            found += [group.group_id for group in page.taskgroups]
            offset += len(page.taskgroups)
            if not page.taskgroups:
                break
        self.assertEqual(len(found), len(set(found)))
        self.assertLessEqual(made, set(found))
        group = made.pop()
        self.oms.delete_task_group(DeleteTaskGroupRequest(group_id=group))

        def is_gone():
            try:
                self.assertIn(self.show_group(group).status, (8, 9))
                return False
            except ClientRequestException as refused:
                self.assertEqual(refused.error_code, "OMS.1009")
                return True

        until(is_gone, "a deleted group")
        self.assertEqual(self.members(group), [])


if __name__ == "__main__":
    unittest.main()
