"""What senders of alarms do: signing as the README says, and deliveries in the forms of the
vendors. Python's standard library only."""
import base64
import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit


def utc(offset_s=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset_s))


def signature(secret, timestamp, body):
    """base64(HMAC-SHA256(secret, "timestamp:body")); secret and body as bytes or text."""
    raw = [part if isinstance(part, bytes) else part.encode() for part in (secret, body)]
    digest = hmac.new(raw[0], timestamp.encode() + b":" + raw[1], hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def incident(name, action="created", **more):
    body = {"eventType": "incident", "incidentId": name, "action": action, "priority": "HIGH",
            "title": "checkout 5xx above 5 %", "service": "checkout"}
    return {**body, **more}


def alert(fingerprint, status="firing", starts="2026-03-14T09:26:00.123Z", ends=None, labels=None,
          **annotations):
    """One alert of Alertmanager v4."""
    return {"status": status,
            "labels": {"alertname": "Checkout5xx", "service": "checkout", "severity": "critical",
                       "region": "eu-west-1", **(labels or {})},
            "annotations": {"summary": "5xx ratio 7.4 %", **annotations},
            "startsAt": starts, "endsAt": ends or "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph?g0.expr=x",
            "fingerprint": fingerprint}


def group(*alerts):
    """One delivery of Alertmanager v4, its line feed included."""
    firing = any(one["status"] == "firing" for one in alerts)
    return json.dumps({"receiver": "midwatch", "status": "firing" if firing else "resolved",
                       "alerts": alerts, "notification_reason": "",
                       "groupLabels": {"alertname": "Checkout5xx"}, "commonLabels": {},
                       "commonAnnotations": {}, "routeLabels": {},
                       "externalURL": "http://alertmanager.example", "version": "4",
                       "groupKey": '{}:{alertname="Checkout5xx"}', "truncatedAlerts": 0}) + "\n"


class Door:
    """One webhook of a daemon, made by the command line, and its sender."""

    def __init__(self, daemon, source="devops-agent", *options):
        self.daemon = daemon
        self.hook = daemon.cli_json("webhook", "create", "--name", "night", "--source", source,
                                    *options)
        self.id = self.hook["id"]
        self.secret = self.hook["secret"]
        self.path = urlsplit(self.hook["url"]).path

    def headers(self, text, timestamp=None, secret=None):
        """Those of a sender that knows the secret."""
        timestamp, secret = timestamp or utc(), secret or self.secret
        if self.hook["auth"] == "bearer":
            return {"content-type": "application/json", "authorization": f"Bearer {secret}"}
        return {"content-type": "application/json", "x-amzn-event-timestamp": timestamp,
                "x-amzn-event-signature": signature(secret, timestamp, text)}

    def post(self, text, headers, path=None):
        body = text if isinstance(text, bytes) else text.encode()
        return self.daemon.request("POST", path or self.path, body, headers)

    def send(self, body, **more):
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.post(text, self.headers(text, **more))
