"""What tests of disks that refuse ask of a daemon on one (test_disk.py, test_refusing_disk.py)."""
import base64

from exports import ExportCase, one_of

SIGNALS = ("traces", "logs", "metrics")
RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


class DiskCase(ExportCase):
    """A daemon a test, which setUp makes; `sent` is what was acknowledged, in items by signal."""

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def send_one_of_each(self):
        for signal in SIGNALS:
            answer = self.post(one_of(signal), signal)
            self.assertEqual(answer.status, 200, answer.body)
            self.assert_success(self.call(one_of(signal), signal))
            self.sent[signal] += 2

    def check_refused(self):
        """All signals over both transports, retryably."""
        for signal in SIGNALS:
            answer = self.post(one_of(signal), signal)
            self.assertEqual(answer.status, 503, answer.body)
            self.assertGreater(int(answer.headers["retry-after"]), 0)
            answer = self.call(one_of(signal), signal)
            self.assert_grpc(answer, 14)
            text = answer.headers["grpc-status-details-bin"]
            self.assertIn(RETRY_INFO, base64.b64decode(text + "=" * (-len(text) % 4)))

    def reasons(self):
        """What /readyz gives as the reasons, None when it is ready."""
        answer = self.daemon.get("/readyz")
        ready = answer.json()
        self.assertEqual(answer.status, 200 if ready["ready"] else 503)
        return None if ready["ready"] else {r["check"]: r["message"] for r in ready["reasons"]}

    def check_readable(self):
        stored = self.daemon.api("status")["stored"]
        self.assertEqual((stored["spans"], stored["logs"], stored["points"]),
                         tuple(self.sent[signal] for signal in SIGNALS))
        self.assertEqual(sum(t["spans"] for t in self.daemon.api("traces?limit=1000")["items"]),
                         self.sent["traces"])
        self.assertEqual(len(self.daemon.api("logs?limit=1000")["items"]), self.sent["logs"])
        self.assertEqual(sum(m["points"] for m in self.daemon.api("metrics?limit=1000")["items"]),
                         self.sent["metrics"])

    def make_space(self, name):
        answer = self.daemon.request("POST", "/api/v1/spaces", '{"name":"%s"}' % name,
                                     {"content-type": "application/json"}, port="socket")
        self.assertEqual(answer.status, 201, answer.body)

    def delete_space(self, name):
        return self.daemon.request("DELETE", "/api/v1/spaces/" + name, port="socket")

    def deletions(self):
        """What the audit says of them, (space, outcome), in their order."""
        records = self.daemon.api("audit?limit=1000")["items"]
        return [(record["subject"], record["outcome"]) for record in reversed(records)
                if record["action"] == "space.delete"]
