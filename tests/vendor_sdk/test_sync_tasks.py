"""Synchronization tasks: objects are copied as they are named."""

import time
import unittest

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkoms.v2 import (
    CreateSyncEventsRequest,
    CreateSyncTaskReq,
    CreateSyncTaskRequest,
    DeleteSyncTaskRequest,
    ListSyncTasksRequest,
    ListSyncTaskStatisticRequest,
    ShowSyncTaskRequest,
    StartSyncTaskReq,
    StartSyncTaskRequest,
    StopSyncTaskRequest,
    SyncObjectReq,
)

from place import DESTINATION, REGION, SOURCE, Case, until


def milliseconds():
    return int(time.time() * 1000)


class SyncTasks(Case):
    def setUp(self):
        super().setUp()
        self.made = []

    def tearDown(self):
        # Five of them are all that an account may have.
        for task in self.made:
            try:
                self.oms.stop_sync_task(StopSyncTaskRequest(sync_task_id=task))
            except ClientRequestException:
                pass
            self.oms.delete_sync_task(DeleteSyncTaskRequest(sync_task_id=task))

    def create_sync_task(self, **changes):
        body = CreateSyncTaskReq(
            **{
                "src_cloud_type": SOURCE.cloud,
                "src_region": SOURCE.region,
                "src_bucket": self.source,
                "src_ak": SOURCE.access_key,
                "src_sk": SOURCE.secret_key,
                "dst_ak": DESTINATION.access_key,
                "dst_sk": DESTINATION.secret_key,
                "dst_region": REGION,
                "dst_bucket": self.destination,
                **changes,
            }
        )
        task = self.oms.create_sync_task(CreateSyncTaskRequest(body=body)).sync_task_id
        self.made.append(task)
        return task

    def show_sync_task(self, task):
        return self.oms.show_sync_task(ShowSyncTaskRequest(sync_task_id=task, query_time=milliseconds()))

    def name(self, task, *keys):
        request = CreateSyncEventsRequest(sync_task_id=task, body=SyncObjectReq(object_keys=list(keys)))
        self.assertEqual(self.oms.create_sync_events(request).status_code, 200)

    def test_named_objects_are_copied(self):
        task = self.create_sync_task(description="sync of photos")
        keys = {"plain": "plain", "in%2Fa%20folder": "in/a folder", "a%2Bb": "a+b", "%C3%BC": "ü"}
        for key in keys.values():
            self.put(key, key.encode())
        self.put("never named", b"x")
        self.name(task, *keys)
        for key in keys.values():
            until(lambda key=key: self.arrived(key) == key.encode(), f"{key} in the destination")
        self.assertIsNone(self.arrived("never named"))
        shown = until(
            lambda: (lambda s: s if s.monthly_success_object == 4 else None)(self.show_sync_task(task)),
            "four counted objects",
        )
        self.assertEqual((shown.status, shown.description), ("SYNCHRONIZING", "sync of photos"))
        self.assertEqual(shown.monthly_acceptance_request, 4)
        self.assertEqual(shown.monthly_failure_object, 0)
        self.assertEqual(shown.monthly_size, sum(len(key.encode()) for key in keys.values()))

    def test_what_was_copied_is_counted_over_time(self):
        task = self.create_sync_task()
        begun = milliseconds()
        self.put("a", b"12345")
        self.name(task, "a")
        until(lambda: self.arrived("a"), "the object in the destination")

        def statistics():
            answer = self.oms.list_sync_task_statistic(
                ListSyncTaskStatisticRequest(
                    sync_task_id=task,
                    data_type="REQUEST,SUCCESS,SIZE",
                    start_time=begun - 3_600_000,
                    end_time=milliseconds() + 3_600_000,
                )
            )
            self.assertEqual(answer.sync_task_id, task)
            self.assertIn(answer.statistic_time_type, ("FIVE_MINUTES", "ONE_HOUR"))
            sums = {
                series.data_type: sum(point.statistic_num for point in series.data)
                for series in answer.statistic_datas
            }
            return sums if sums.get("SUCCESS") else None

        self.assertEqual(until(statistics, "statistics"), {"REQUEST": 1, "SUCCESS": 1, "SIZE": 5})

    def test_a_stopped_sync_task_takes_no_events_and_starts_again(self):
        task = self.create_sync_task()
        self.oms.stop_sync_task(StopSyncTaskRequest(sync_task_id=task))
        self.assertEqual(self.show_sync_task(task).status, "STOPPED")
        with self.assertRaises(ClientRequestException):
            self.name(task, "a")
        body = StartSyncTaskReq(
            src_ak=SOURCE.access_key,
            src_sk=SOURCE.secret_key,
            dst_ak=DESTINATION.access_key,
            dst_sk=DESTINATION.secret_key,
        )
        self.oms.start_sync_task(StartSyncTaskRequest(sync_task_id=task, body=body))
        self.assertEqual(self.show_sync_task(task).status, "SYNCHRONIZING")
        self.put("a", b"a")
        self.name(task, "a")
        until(lambda: self.arrived("a"), "the object in the destination")

    def test_sync_tasks_are_listed_and_deleted(self):
        running, stopped = self.create_sync_task(), self.create_sync_task()
        self.oms.stop_sync_task(StopSyncTaskRequest(sync_task_id=stopped))
        listed = self.oms.list_sync_tasks(ListSyncTasksRequest(limit=100, offset=0))
        by_id = {task.sync_task_id: task for task in listed.tasks}
        self.assertEqual(by_id[running].status, "SYNCHRONIZING")
        self.assertEqual(by_id[stopped].status, "STOPPED")
        self.assertEqual(by_id[running].src_bucket, self.source)
        ids = [
            task.sync_task_id
            for task in self.oms.list_sync_tasks(ListSyncTasksRequest(status="STOPPED", limit=100)).tasks
        ]
        self.assertIn(stopped, ids)
        self.assertNotIn(running, ids)
        with self.assertRaises(ClientRequestException):
            self.oms.delete_sync_task(DeleteSyncTaskRequest(sync_task_id=running))
        self.oms.delete_sync_task(DeleteSyncTaskRequest(sync_task_id=stopped))
        self.made.remove(stopped)
        with self.assertRaises(ClientRequestException):
            self.show_sync_task(stopped)


if __name__ == "__main__":
    unittest.main()
