"""The systems side by side. Each has a near end, the forwarder, and a far end, both the real
programs on loopback; where it is durable, and from when on, is said in `durability`."""

import http.client
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time
import uuid

from stage import Refused, accepts, free_port, link_bytes

SAMPLES_PER_DATAGRAM = 350
# Of kernel buffer for datagrams while the daemon is busy, as the launcher of the demo asks for.
RECEIVE_BUFFER_BYTES = 64 << 20
SO_RCVBUFFORCE = 33


def first_line(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip().splitlines()[0]


class System:
    """A system of one scenario, on a stage of its own."""

    name = title = durability = protocol = ""
    packages = ()
    has_outage = True
    # After a kill, what has not arrived after so long in which nothing did never will.
    quiet_s = 10
    # read_far() ends the reading.
    reads_once = False

    def __init__(self, stage):
        self.stage = stage
        self.near = self.far = self.sink = None
        self.near_port, self.far_port = free_port(), free_port()

    # What a system says of itself.

    @classmethod
    def missing(cls):
        """The programs that are not there, and how they come."""
        return []

    def load_arguments(self):
        return ["--protocol", self.protocol, "--to", f"127.0.0.1:{self.near_port}"]

    # Starting and stopping.

    def start(self):
        self.start_far()
        self.start_near()
        self.wait_for_link()

    def start_far(self):
        raise NotImplementedError

    def start_near(self):
        raise NotImplementedError

    def stop_far(self):
        self.far.stop()

    def wait_for_port(self, process, port):
        def is_up():
            if not process.is_running():
                raise Refused(f"{process.name} ended: {process.last_words()}")
            return accepts(port)
        self.stage.wait_for(process.name, is_up)

    def wait_for_link(self):
        self.stage.wait_for("the link", lambda: link_bytes(self.near.pid, self.far_port)[0],
                            patience_s=40, every_s=0.05)

    # Questions.

    def count_far(self):
        """How many datagrams the far end has; None while that is not known."""
        raise NotImplementedError

    def follow_far(self):
        """For the scenarios in which count_far() is asked while datagrams arrive."""

    def has_all(self, count):
        arrived = self.count_far()
        return arrived is not None and arrived >= count

    def check_drops(self):
        """Refuses if something was lost before the near end could have it."""

    def read_far(self):
        """The book of what the far end has."""
        raise NotImplementedError

    # What they share.

    def run_sink(self, *arguments):
        book = self.stage.folder / "held.json"
        sink = self.stage.start("sink", self.stage.programs / "bench/peer_sink", "--json", book,
                                *arguments)
        if sink.wait(120) != 0:
            raise Refused(sink.last_words())
        return json.loads(book.read_text())

    def start_sink(self, *arguments):
        self.sink = self.stage.start("sink", self.stage.programs / "bench/peer_sink", "--progress",
                                     self.stage.folder / "arrived.count", *arguments)

    def count_of_sink(self):
        if not self.sink.is_running():
            raise Refused(self.sink.last_words())
        return read_count(self.stage.folder / "arrived.count")


def read_count(file):
    try:
        data = pathlib.Path(file).read_bytes()
    except FileNotFoundError:
        return 0
    return struct.unpack("<Q", data)[0] if len(data) == 8 else 0


class Pitbox(System):
    name = "pitbox"
    title = "Pitbox"
    durability = "every batch fdatasync'ed in the journal before it is sent, and in the room " \
                 "before it is acknowledged (defaults)"
    protocol = "udp"

    # Takes a socket over as from a service manager, then becomes the daemon.
    HAND_OVER = ("import os, sys\n"
                 "os.dup2(int(sys.argv[1]), 3)\n"
                 "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
                 "LISTEN_FDNAMES='cars')\n"
                 "os.execv(sys.argv[2], sys.argv[2:])\n")

    def __init__(self, stage):
        super().__init__(stage)
        self.session = str(uuid.uuid4())
        self.runtime = stage.make_runtime()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.buffer_bytes = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.socket.bind(("127.0.0.1", 0))
        self.near_port = self.socket.getsockname()[1]

    @classmethod
    def version(cls):
        log = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                             text=True, check=False, cwd=pathlib.Path(__file__).parent)
        return f"Pitbox at commit {log.stdout.strip()}" if log.stdout else "Pitbox"

    def load_arguments(self):
        return super().load_arguments() + ["--queue-bytes", str(self.buffer_bytes // 2)]

    def start(self):
        super().start()
        self.ask(command="session_start", id=self.session)
        self.wait_for_link()

    def wait_for_link(self):
        if self.ask(command="status").get("session"):
            super().wait_for_link()

    def start_far(self):
        self.far = self.stage.start("pitbox-room", self.stage.programs / "bin/pitbox-room",
                                    "--no-auth", "--port", self.far_port,
                                    "--store", self.stage.make_folder("room"))
        self.wait_for_port(self.far, self.far_port)

    def start_near(self):
        state = self.stage.make_folder("state")
        # Slots of 64 KiB: runs of datagrams at once, as behind a network card that makes them.
        config = self.stage.write("pitbox.toml", f"""
state_dir = "{state}"
runtime_dir = "{self.runtime}"
[[source]]
name = "cars"
kind = "udp"
listen = "127.0.0.1:{self.near_port}"
decoder = "native"
slot_bytes = 65536
[room]
url = "ws://127.0.0.1:{self.far_port}"
""")
        environment = dict(os.environ, PITBOX_LIVE_VIEW_HZ="0")
        self.near = self.stage.start("pitboxd", sys.executable, "-c", self.HAND_OVER,
                                     self.socket.fileno(), self.stage.programs / "bin/pitboxd",
                                     "--config", config, pass_fds=(self.socket.fileno(),),
                                     env=environment)
        self.stage.wait_for("pitboxd", self.answers)

    def answers(self):
        if not self.near.is_running():
            raise Refused(f"pitboxd ended: {self.near.last_words()}")
        try:
            return bool(self.ask(command="status"))
        except OSError:
            return False

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(15)
            control.connect(str(self.runtime / "control.sock"))
            control.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(control.makefile().readline())
        if answer.get("ok") is False:
            raise Refused(f"pitboxd: {answer.get('error')}")
        return answer

    def follow_far(self):
        self.start_sink("--from", "room", "--live", *self.room_arguments())

    def room_arguments(self):
        return ["--to", f"ws://127.0.0.1:{self.far_port}", "--session", self.session]

    def count_far(self):
        """Nobody counts in the room when no figure needs it: it would cost what no peer pays."""
        return self.count_of_sink() if self.sink else None

    def has_all(self, count):
        """All samples are journaled, and the room has acknowledged every entry; what they hold is
        compared afterwards."""
        status = self.ask(command="status")
        return (status["samples"] >= count * SAMPLES_PER_DATAGRAM and
                status["batches"]["pending"] == 0 and status["link"]["waiting"] == 0)

    def check_drops(self):
        for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]:
            words = line.split()
            if words[1] == f"0100007F:{self.near_port:04X}" and int(words[12]) > 0:
                raise Refused(f"the kernel dropped {words[12]} datagrams")

    def read_far(self):
        return self.run_sink("--from", "room", *self.room_arguments())


class Nats(System):
    name = "nats"
    title = "NATS leaf node, JetStream"
    durability = "file storage at both ends, fsync every 2 min (default); acknowledged once " \
                 "written to the page cache"
    protocol = "nats"
    packages = ("nats-server",)
    sync = ""

    def __init__(self, stage):
        super().__init__(stage)
        self.client_port, self.monitor_port = free_port(), free_port()

    @classmethod
    def version(cls):
        return first_line("nats-server", "--version")

    def start_far(self):
        config = self.stage.write("hub.conf", f"""
server_name: hub
listen: "127.0.0.1:{self.client_port}"
http: "127.0.0.1:{self.monitor_port}"
jetstream {{ store_dir: "{self.stage.make_folder('hub')}", domain: hub{self.sync} }}
leafnodes {{ listen: "127.0.0.1:{self.far_port}" }}
""")
        self.far = self.stage.start("hub", "nats-server", "-c", config)
        self.wait_for_port(self.far, self.client_port)

    def start_near(self):
        config = self.stage.write("leaf.conf", f"""
server_name: box
listen: "127.0.0.1:{self.near_port}"
jetstream {{ store_dir: "{self.stage.make_folder('leaf')}", domain: box{self.sync} }}
leafnodes {{ remotes: [ {{ url: "nats-leaf://127.0.0.1:{self.far_port}" }} ] }}
""")
        self.near = self.stage.start("leaf", "nats-server", "-c", config)
        self.wait_for_port(self.near, self.near_port)

    def start(self):
        super().start()
        self.request(self.near_port, "$JS.API.STREAM.CREATE.cars",
                     {"name": "cars", "subjects": ["cars.>"], "storage": "file"})
        self.request(self.client_port, "$JS.API.STREAM.CREATE.factory",
                     {"name": "factory", "storage": "file",
                      "sources": [{"name": "cars", "external": {"api": "$JS.box.API"}}]})
        self.stage.wait_for("the hub's stream", lambda: self.count_far() is not None)
        self.wait_for_source()

    def wait_for_source(self):
        """Until the leaf's stream has given a sign of life to the hub's: the making of the consumer
        between them is no part of a throughput."""
        made = time.monotonic()

        def is_alive():
            sources = self.request(self.client_port, "$JS.API.STREAM.INFO.factory", {})["sources"]
            return 0 <= sources[0]["active"] < (time.monotonic() - made) * 1e9 - 50e6

        self.stage.wait_for("the hub's source", is_alive, every_s=0.05)

    @staticmethod
    def request(port, subject, body):
        text = json.dumps(body)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            lines = client.makefile("r", newline="\r\n")
            client.sendall(b'CONNECT {"verbose":false}\r\nSUB answer 1\r\n')
            client.sendall(f"PUB {subject} answer {len(text)}\r\n{text}\r\n".encode())
            for line in lines:
                if line.startswith("-ERR"):
                    raise Refused(f"nats-server: {line.strip()}")
                if line.startswith("MSG"):
                    answer = json.loads(lines.readline())
                    if "error" in answer:
                        raise Refused(f"{subject}: {answer['error']}")
                    return answer
        raise Refused(f"{subject}: no answer")

    def count_far(self):
        try:
            client = http.client.HTTPConnection("127.0.0.1", self.monitor_port, timeout=5)
            client.request("GET", "/jsz?accounts=true&streams=true")
            facts = json.loads(client.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
        for account in facts.get("account_details", []):
            for stream in account.get("stream_detail", []):
                if stream["name"] == "factory":
                    return stream["state"]["messages"]
        return None

    def read_far(self):
        return self.run_sink("--from", "nats", "--to", f"127.0.0.1:{self.client_port}",
                             "--expected", self.count_far() or 0)


class NatsSynced(Nats):
    name = "nats-sync"
    title = "NATS leaf node, synced"
    durability = "sync_interval: always"
    sync = ", sync_interval: always"
    has_outage = False

    @classmethod
    def missing(cls):
        """Since nats-server 2.10."""
        words = re.search(r"(\d+)\.(\d+)", cls.version())
        is_there = words and (int(words[1]), int(words[2])) >= (2, 10)
        return [] if is_there else ["sync_interval: always, which came with nats-server 2.10"]


class Mosquitto(System):
    name = "mosquitto"
    title = "mosquitto bridge, QoS 1"
    durability = "persistence on: a snapshot of all every 1800 s (default) and at a clean stop"
    protocol = "mqtt"
    packages = ("mosquitto",)
    autosave = ""
    reads_once = True

    @classmethod
    def version(cls):
        return first_line("mosquitto", "-h")

    # Without a limit to its queue the broker throws away what it has acknowledged, beyond 1000
    # messages: no forwarder at all.
    def common(self, store, port):
        folder = self.stage.make_folder(store)
        return f"""
listener {port} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {folder}/
max_queued_messages 0
log_type error
log_type warning
{self.autosave}
"""

    def start_far(self):
        config = self.stage.write("far.conf", self.common("far", self.far_port))
        self.far = self.stage.start("mosquitto-far", "mosquitto", "-c", config)
        self.wait_for_port(self.far, self.far_port)
        if not self.sink:
            self.start_sink("--from", "mqtt", "--to", f"127.0.0.1:{self.far_port}", "--json",
                            self.stage.folder / "held.json")
            self.stage.wait_for("the subscriber",
                                lambda: link_bytes(self.sink.pid, self.far_port)[1] > 40)

    def start_near(self):
        config = self.stage.write("near.conf", self.common("near", self.near_port) + f"""
connection factory
address 127.0.0.1:{self.far_port}
topic cars/# out 1
cleansession false
notifications false
bridge_protocol_version mqttv311
""")
        self.near = self.stage.start("mosquitto-near", "mosquitto", "-c", config)
        self.wait_for_port(self.near, self.near_port)

    def count_far(self):
        """A broker is no store: what counts is the subscriber at the far end."""
        return self.count_of_sink()

    def read_far(self):
        self.sink.stop()
        return json.loads((self.stage.folder / "held.json").read_text())


class MosquittoSynced(Mosquitto):
    name = "mosquitto-sync"
    title = "mosquitto bridge, saved at each change"
    durability = "autosave_on_changes, autosave_interval 1: everything is written and synced " \
                 "after each change, but not before it is acknowledged"
    autosave = "autosave_on_changes true\nautosave_interval 1"
    has_outage = False


class Rsyslog(System):
    name = "rsyslog"
    title = "rsyslog RELP, disk-assisted queue"
    durability = "queue in memory, on disk beyond its high watermark, no fsync (defaults); " \
                 "base64, since syslog is text"
    protocol = "relp"
    packages = ("rsyslog", "rsyslog-relp")
    # Batches and a window of 128, the defaults, end each in a wait for a delayed acknowledgement of
    # TCP: 2,500 datagrams/s.
    common = 'queue.filename="cars" queue.maxDiskSpace="16g" queue.saveOnShutdown="on" ' \
             'queue.dequeueBatchSize="1024"'
    queue = f'queue.type="LinkedList" {common}'
    quiet_s = 35  # It dials again after 30.
    LINE_BYTES = 1934  # A space, 1448 bytes in base64, the end of the line.

    @classmethod
    def version(cls):
        return first_line("rsyslogd", "-v").split(" (")[0]

    def start_daemon(self, name, text):
        folder = self.stage.make_folder(name)
        config = self.stage.write(f"{name}.conf", f'global(workDirectory="{folder}")\n'
                                                  f'module(load="imrelp")\n{text}')
        return self.stage.start(name, "rsyslogd", "-n", "-f", config, "-i", folder / "pid")

    @property
    def arrived(self):
        return self.stage.folder / "arrived.lines"

    def start_far(self):
        self.far = self.start_daemon("rsyslog-far", f"""
template(name="line" type="string" string="%msg%\\n")
input(type="imrelp" address="127.0.0.1" port="{self.far_port}" ruleset="write")
ruleset(name="write" queue.type="Direct") {{
  action(type="omfile" file="{self.arrived}" template="line")
}}
""")
        self.wait_for_port(self.far, self.far_port)

    def start_near(self):
        self.near = self.start_daemon("rsyslog-near", f"""
module(load="omrelp")
input(type="imrelp" address="127.0.0.1" port="{self.near_port}" ruleset="forward")
ruleset(name="forward" {self.queue}) {{
  action(type="omrelp" target="127.0.0.1" port="{self.far_port}" windowSize="4096"
         action.resumeRetryCount="-1")
}}
""")
        self.wait_for_port(self.near, self.near_port)

    def wait_for_link(self):
        """It dials when it has something to send."""

    def count_far(self):
        return self.arrived.stat().st_size // self.LINE_BYTES if self.arrived.exists() else 0

    def read_far(self):
        return self.run_sink("--from", "lines", "--to", self.arrived)


class RsyslogSynced(Rsyslog):
    name = "rsyslog-sync"
    title = "rsyslog RELP, disk queue, synced"
    durability = "disk queue, syncQueueFiles on, checkpointInterval 1"
    queue = f'queue.type="Disk" {Rsyslog.common} queue.syncQueueFiles="on" ' \
            'queue.checkpointInterval="1"'
    has_outage = False


SYSTEMS = (Pitbox, Nats, NatsSynced, Mosquitto, MosquittoSynced, Rsyslog, RsyslogSynced)
