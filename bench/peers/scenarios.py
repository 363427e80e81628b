"""What is measured of each system: how fast, through an outage of the far end, and what a SIGKILL
of the forwarder loses. A figure that is known to be wrong is refused, with the reason."""

import json
import os
import subprocess
import time

from stage import Refused, Stage, link_bytes
from systems import SAMPLES_PER_DATAGRAM, read_count

# Datagrams/s of outage and kill: 1.75 M samples/s, a tenth of a grid, which each takes with ease.
MODERATE_RATE = 5000
OUTAGE_S = 10
# The far end is level when it has everything that was sent so long ago.
LEVEL_S = 0.5
# For the rest to arrive after the last was sent, as long as something does.
PATIENCE_S = 20
PATIENCE_IN_ALL_S = 120


class Load:
    """The generator, and how much it has sent."""

    def __init__(self, system, rate, seconds):
        self.stage = system.stage
        self.json = self.stage.folder / "sent.json"
        self.progress = self.stage.folder / "sent.count"
        self.process = self.stage.start(
            "load", self.stage.programs / "bench/peer_load", *system.load_arguments(),
            "--rate", rate, "--seconds", seconds, "--json", self.json, "--progress", self.progress)

    def sent(self):
        return read_count(self.progress)

    def is_running(self):
        return self.process.is_running()

    def end(self, patience_s=90):
        """Stops it, if it still sends, and waits until everything was answered."""
        if self.is_running():
            self.process.popen.terminate()
        return self.book(patience_s)

    def book(self, patience_s):
        until = time.monotonic() + patience_s
        while self.is_running():
            self.stage.progress.show(f"{self.sent():,} sent")
            if time.monotonic() > until:
                raise Refused("the generator did not end")
            time.sleep(0.01)
        if self.process.wait(1) != 0:
            raise Refused(self.process.last_words())
        book = json.loads(self.json.read_text())
        book["acknowledged_datagrams"] = book["acknowledged"]["distinct"]
        return book


def compare(sent, held):
    """How many of the acknowledged datagrams the far end does not have, number by number."""
    lost = 0
    for group, ranges in sent["acknowledged"]["ranges"].items():
        have = held["ranges"].get(group, [])
        for first, last in ranges:
            covered = sum(max(0, min(last, b) - max(first, a) + 1) for a, b in have)
            lost += last - first + 1 - covered
    return lost


def wait_until_level(system, count):
    """Until the far end has `count`; gives up when nothing arrives any more."""
    began = last = time.monotonic()
    best = None
    while not system.has_all(count):
        now = time.monotonic()
        arrived = system.count_far()
        if arrived != best:
            best, last = arrived, now
        system.stage.progress.show(f"{arrived or 0:,} of {count:,} at the far end")
        if now - last > PATIENCE_S or now - began > PATIENCE_IN_ALL_S:
            raise Refused(f"the far end never became complete: {arrived} of {count}")
        if not system.near.is_running():
            raise Refused(f"the forwarder ended: {system.near.last_words()}")
        time.sleep(0.01)


def read_when_quiet(system, sent):
    """The far end's book, once it has all that was acknowledged, or nothing has come for a while.
    How many there are does not say which: what was not acknowledged may arrive, or come twice."""
    began = last = time.monotonic()
    best, is_read = None, False
    while True:
        arrived, now = system.count_far(), time.monotonic()
        if arrived != best:
            best, last = arrived, now
        has_all = system.has_all(sent["datagrams" if system.reads_once
                                      else "acknowledged_datagrams"])
        is_quiet = now - last > (1 if has_all and not is_read else system.quiet_s)
        if is_quiet:
            held = system.read_far()
            if is_read or system.reads_once or not has_all or not compare(sent, held):
                return held, last - began
            is_read = True
        system.stage.progress.show(f"{arrived or 0:,} of {sent['datagrams']:,} at the far end")
        time.sleep(0.02)


def check_books(sent, held):
    lost = compare(sent, held)
    if sent["broken"]:
        raise Refused(f"the connection ended: {sent['broken']}")
    if sent["acknowledged_datagrams"] != sent["datagrams"]:
        raise Refused(f"{sent['datagrams']} were sent and {sent['acknowledged_datagrams']} "
                      "acknowledged")
    if lost or held["distinct"] != sent["datagrams"]:
        raise Refused(f"{sent['datagrams']} were sent, {held['distinct']} are at the far end, "
                      f"{lost} of the acknowledged are missing")


def throughput(system, seconds):
    """As fast as the near end takes them, until the far end has all."""
    system.start()
    ports_before, wire_before = link_bytes(system.near.pid, system.far_port)
    processor_before = system.near.processor_s()
    load = Load(system, 0, seconds)
    sent = load.book(seconds + 90)
    wait_until_level(system, sent["datagrams"])
    elapsed = time.monotonic() - sent["first_ns"] / 1e9
    processor = system.near.processor_s() - processor_before
    ports, wire = link_bytes(system.near.pid, system.far_port)
    system.check_drops()
    if ports_before not in ([], ports) or len(ports) == 0:
        raise Refused("the link was made anew, so that its bytes are not all of them")
    held = system.read_far()
    check_books(sent, held)
    count = sent["datagrams"]
    return {"datagrams": count, "seconds": elapsed, "offered_seconds": sent["seconds"],
            "datagrams_per_second": count / elapsed,
            "samples_per_second": count * SAMPLES_PER_DATAGRAM / elapsed,
            "cpu_seconds": processor, "datagrams_per_cpu_second": count / max(processor, 0.01),
            "wire_bytes_per_datagram": (wire - wire_before) / count, "repeated": held["repeated"]}


def outage(system, _seconds):
    """The far end is stopped for OUTAGE_S under a fixed load, and started again."""
    system.start()
    system.follow_far()
    load = Load(system, MODERATE_RATE, OUTAGE_S + 2 * PATIENCE_IN_ALL_S)
    history = [(time.monotonic(), 0)]

    def look():
        now = time.monotonic()
        history.append((now, load.sent()))
        while len(history) > 2 and history[1][0] <= now - LEVEL_S:
            history.pop(0)
        if not load.is_running():
            raise Refused(load.process.last_words())
        return system.count_far(), history[0][1]

    def is_level():
        arrived, due = look()
        return arrived is not None and due > MODERATE_RATE and arrived >= due

    system.stage.wait_for("keep up with the load before the outage", is_level, 30)
    system.stop_far()
    stopped = time.monotonic()
    before = system.count_far() or load.sent()
    while time.monotonic() < stopped + OUTAGE_S:
        look()
        system.stage.progress.show(f"the far end is away, {load.sent():,} sent")
        time.sleep(0.01)
    began = time.monotonic()
    system.start_far()
    first = level = None
    while level is None:
        arrived, due = look()
        now = time.monotonic() - began
        if first is None and arrived is not None and arrived > before:
            first = now
        if first is not None and arrived is not None and arrived >= due:
            level = now
        system.stage.progress.show(f"{arrived or 0:,} of {due:,} at the far end")
        if now > PATIENCE_IN_ALL_S:
            raise Refused(f"not level {PATIENCE_IN_ALL_S} s after the outage: {arrived} of {due}")
        time.sleep(0.01)
    sent = load.end()
    held, _ = read_when_quiet(system, sent)
    system.check_drops()
    check_books(sent, held)
    return {"datagrams_per_second": MODERATE_RATE, "outage_seconds": OUTAGE_S,
            "first_seconds": first, "level_seconds": level, "datagrams": sent["datagrams"],
            "repeated": held["repeated"]}


def kill(system, _seconds):
    """SIGKILL of the forwarder amid load, the far end reachable."""
    return kill_forwarder(system, False)


def kill_in_outage(system, _seconds):
    """The same while the far end has been away for a second and a half."""
    return kill_forwarder(system, True)


def kill_forwarder(system, is_far_away):
    system.start()
    load = Load(system, MODERATE_RATE, 60)
    system.stage.wait_for("the load", lambda: not load.is_running() or load.sent() > 0)
    time.sleep(2)
    if is_far_away:
        system.stop_far()
        time.sleep(1.5)
    if not load.is_running():
        raise Refused(load.process.last_words())
    system.near.kill()
    if system.protocol == "udp":
        time.sleep(0.5)  # Cars go on sending.
    sent = load.end() if system.protocol == "udp" else load.book(10)
    if system.protocol != "udp" and not sent["broken"]:
        raise Refused("the generator did not notice the kill")
    if is_far_away:
        system.start_far()
    system.start_near()
    system.wait_for_link()
    held, seconds = read_when_quiet(system, sent)
    system.check_drops()
    return {"acknowledged": sent["acknowledged_datagrams"], "lost": compare(sent, held),
            "repeated": held["repeated"], "seconds": seconds}


SCENARIOS = {"throughput": throughput, "outage": outage, "kill": kill,
             "kill_in_outage": kill_in_outage}

# What others on the machine may take of its cores while something is timed. What a kill loses does
# not depend on them.
TIMED = ("throughput", "outage")
OTHERS_SHARE_MAX = 0.05


def others_share(stage, began, before):
    """Of all cores, what others took since then."""
    spent = (time.monotonic() - began) * os.cpu_count()
    return max(0.0, (stage.others_user_s() - before) / spent)


def measure(kind, scenario, seconds, root, programs, progress, with_others=False):
    """One scenario on a stage of its own: its figures, or {"refused": WHY}."""
    with Stage(root, programs, progress) as stage:
        try:
            began, before = time.monotonic(), stage.others_user_s()
            figures = SCENARIOS[scenario](kind(stage), seconds)
            share = figures["others_share"] = others_share(stage, began, before)
            if scenario in TIMED and share > OTHERS_SHARE_MAX and not with_others:
                raise Refused(f"others took {share:.0%} of the cores meanwhile")
            return figures
        except Refused as reason:
            return {"refused": str(reason)}
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return {"refused": f"{type(error).__name__}: {error}"}
