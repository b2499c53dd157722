"""From an alarm to the ranked cause in a large window: seconds, memory, and whether it was right.

One store with the telemetry of twelve shops (shop_load.c) over half an hour, in most of which another
fault began 90 s before the alarm. Shops share nothing, so each alarm has a cause of its own, and
whoever is asked often hides whoever is asked seldom.
"""
import subprocess
import time

import measure
import store

# By shop: the fault of its payments, and of how many of a thousand requests. Shop 0 takes half of all
# requests, shop 6 one in 128, shop 11 one in 2,048.
FAULTS = ("slow", "errors", "network", "missing", "errors:20", "slow", "errors:100", None, "network",
          "missing", "errors", "slow")
SECONDS = 1800
BEFORE = 1500
ONSET = BEFORE - 90
LOADER = "tests/bench/shop_load"


def fill(server, build, millions, records, since):
    """Spans, then log records; returns seconds."""
    begun = time.monotonic()
    faults = [word for shop, fault in enumerate(FAULTS) if fault
              for word in ("--fault", f"{shop}:{fault}")]
    for signal, count in (("traces", int(millions * 1e6)), ("logs", int(records * 1e6))):
        if count:
            subprocess.run([f"{build}/{LOADER}", "--port", str(server.port("http")), "--signal",
                            signal, "--count", str(count), "--since", str(since), "--seconds",
                            str(SECONDS), "--onset", str(ONSET), *faults],
                           check=True, stdout=subprocess.DEVNULL)
    store.wait_until_merged(store.Asker(server), 3600)
    return time.monotonic() - begun


def ask(server, sender, shop, at, patience=120):
    """Seconds from the alarm to the committed answer, and the investigation."""
    known = {item["investigation_id"] for item in server.daemon.api("investigations")["items"]}
    begun = time.monotonic()
    sender.deliver({"eventType": "incident", "incidentId": f"inc-{shop}-{begun}",
                    "action": "created", "priority": "HIGH", "title": "checkout is not well",
                    "service": f"gateway-{shop}",
                    "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))})
    while time.monotonic() - begun < patience:
        for item in server.daemon.api("investigations")["items"]:
            if item["investigation_id"] not in known and item["status"] in ("COMPLETED", "FAILED", "TIMED_OUT"):
                return time.monotonic() - begun, item
        time.sleep(0.01)
    raise RuntimeError(f"no answer for shop {shop} in {patience} s")


def report(server, sender, at):
    for shop, fault in enumerate(FAULTS):
        memory, cpu = measure.PeakMemory(server.pid), measure.cpu_seconds(server.pid)
        memory.start()
        seconds, found = ask(server, sender, shop, at)
        peak, cause = memory.stop(), found["root_cause"]
        cpu = measure.cpu_seconds(server.pid) - cpu
        names = [c["service"] for c in cause["candidates"]]
        wanted = f"payments-{shop}" if fault else None
        rank = names.index(wanted) + 1 if wanted in names else "-"
        first = f"{names[0]} {cause['candidates'][0]['kind']}" if names else "nothing"
        print(f"      shop {shop}, {fault or 'no fault'}: {seconds:.2f} s (bar 10, goal 3), "
              f"{cpu:.2f} CPU s, peak {peak:.0f} MiB; {cause['verdict']} {cause['confidence']:.2f} {first}; the cause is at "
              f"rank {rank}", flush=True)
        for gap in cause["gaps"]:
            if gap["code"] == "sampled" and shop == 0:
                print(f"        {gap['text']}", flush=True)


def bench(server, build, millions, records):
    from storms import Sender
    at = int(time.time()) - (SECONDS - BEFORE) - 30
    took = fill(server, build, millions, records, at - BEFORE)
    status = store.Asker(server).status()["stored"]
    print(f"{int(status['spans']) / 1e6:.1f} M spans, {int(status['logs']) / 1e6:.1f} M log records "
          f"over {SECONDS // 60} minutes, stored and merged in {took:.0f} s; "
          f"{measure.disk_bytes(server.data) / 2 ** 30:.2f} GiB", flush=True)
    report(server, Sender(server.daemon), at)
