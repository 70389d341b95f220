# SPDX-License-Identifier: MIT
"""raw.py - mempoold's protocol and layout by hand, for programs that attack it

Nothing here comes from this tree's library or headers: the numbers are written down once
more, so that one program speaks to daemons of several versions. Which one answers is seen
from its first answer (see VERSIONS).

An attack is a function that gets the path of mempoold. It ends by one of three calls:

    succeeded(WHY)   the attack did what it wanted
    held_off(WHY)    the daemon, and who is beside the attacked segment, go on as they should
    not_here(WHY)    it cannot be tried on this machine

Anything else, an exception for instance, is a fault of the attack and no verdict.
"""
import array
import ctypes
import errno
import mmap
import os
import platform
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import namedtuple

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
from control import Patience  # noqa: E402

EXIT_HELD_OFF, EXIT_SUCCEEDED, EXIT_NOT_HERE = 0, 10, 77
PATIENCE_SECONDS = 30
OTHER_UID = 54321
PR_SET_PDEATHSIG = 1
MS_REC_PRIVATE = 0x4000 | 1 << 18
PF_EXITING = 4
LIBC = ctypes.CDLL(None, use_errno=True)

HELLO, BYE, LIST, DRAIN, RELOAD, FORGET = 0x01, 0x02, 0x03, 0x06, 0x07, 0x09
WELCOME, REFUSED, SEGMENT, RELOADED = 0x81, 0x82, 0x83, 0x87
MESSAGE = struct.Struct("=IHHII")       # magic, version, type, size, reserved
MAGIC = 0x6d706f6c
MAJOR_OFFSET = 8                        # of a header
ROOM = 4096                             # larger than any message

# Of each version of the protocol: what stands behind the name in a hello, numbers of a place,
# bytes of an object's name in it, of a reload's body, and before the text of its answer.
Version = namedtuple("Version", "hello_rest place_numbers name_bytes reload_bytes text_offset")
VERSIONS = {1: Version(0, 5, 64, 0, 24), 2: Version(8, 4, 128, 8, 48)}

Place = namedtuple("Place", "segment_id generation size segment shm_name")
Welcome = namedtuple("Welcome", "place holder incarnation")
Reloaded = namedtuple("Reloaded", "error text")


class Verdict(Exception):
    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def succeeded(why):
    raise Verdict(EXIT_SUCCEEDED, why)


def held_off(why):
    raise Verdict(EXIT_HELD_OFF, why)


def not_here(why):
    raise Verdict(EXIT_NOT_HERE, why)


class Refused(Exception):
    """The daemon's answer: a negative errno, and words."""

    def __init__(self, error, reason):
        super().__init__(f"{error}: {reason}")
        self.error = error


class Silent(Exception):
    """No answer for as long as anybody can wait, or a connection that was closed."""


def needs_root():
    if os.geteuid() != 0:
        not_here("it needs a second user: run it as root")


def mempoolctl_of(mempoold):
    """That of the same build, or beside it."""
    folder = os.path.dirname(mempoold)
    for path in (os.path.join(os.path.dirname(folder), "ctl", "mempoolctl"),
                 os.path.join(folder, "mempoolctl"),
                 os.path.join(os.path.dirname(folder), "bin", "mempoolctl")):
        if os.access(path, os.X_OK):
            return path
    raise RuntimeError(f"there is no mempoolctl beside {mempoold}")


def soon(condition, seconds=PATIENCE_SECONDS):
    """Whether it holds before a process beside it, which only counts, had so much time."""
    with Patience() as patience:
        while not condition():
            if patience.seconds() >= seconds:
                return False
            time.sleep(0.02)
    return True


def stat_of(pid):
    """Its fields in /proc, from the state on."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(") ")[2].split()


def is_exiting(pid):
    return bool(int(stat_of(pid)[6]) & PF_EXITING)


def text_of(field):
    return field.split(b"\0", 1)[0].decode("ascii", "replace")


# ---- the daemon ----

class Daemon:
    """A mempoold with a folder, a socket and segments of its own, and what it has said.

    `segments` is YAML; in it, NAME stands for what the names of its segments begin with.
    """
    n_daemons = 0

    def __init__(self, path, segments, top="", environment=None):
        Daemon.n_daemons += 1
        self.name = f"attack-{os.getpid()}-{Daemon.n_daemons}"
        self.path = path
        self.folder = tempfile.mkdtemp(prefix="mempool-attack-")
        os.chmod(self.folder, 0o755)
        self.socket_path = os.path.join(self.folder, "mempoold.sock")
        self.config_path = os.path.join(self.folder, "mempool.yaml")
        self.log_path = os.path.join(self.folder, "log")
        self.environment = environment or {}
        self.process = None
        self.version = None
        self.configure(segments, top)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        for entry in os.listdir("/dev/shm"):
            if entry.startswith(f"mempool-{self.name}"):
                os.unlink(os.path.join("/dev/shm", entry))
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, segments, top=""):
        with open(self.config_path, "w", encoding="utf-8") as out:
            out.write(f"socket: {{ path: {self.socket_path}, mode: 0666 }}\n{top}segments:\n")
            out.write(segments.replace("NAME", self.name))

    def command(self, *arguments):
        return [self.path, "-f", "-c", self.config_path, *arguments]

    @staticmethod
    def inherited():
        """The environment, without what a service manager of our own says."""
        return {name: value for name, value in os.environ.items()
                if name not in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY")}

    def run(self, *arguments):
        """Run it to its end, as with --remove. Return: its exit status."""
        with open(self.log_path, "ab") as log:
            return subprocess.run(self.command(*arguments), stderr=log, stdout=log,
                                  env=self.inherited(), check=False).returncode

    def spawn(self, before_exec=None):
        """Start it, and return a socket on which it says how far it is."""
        notify_path = os.path.join(self.folder, "notify")
        if os.path.exists(notify_path):
            os.unlink(notify_path)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        notify.bind(notify_path)
        # A daemon of another user says it, too.
        os.chmod(notify_path, 0o666)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stderr=log, stdout=log, preexec_fn=before_exec,
                env={**self.inherited(), **self.environment, "NOTIFY_SOCKET": notify_path})
        return notify

    def start(self, before_exec=None):
        """Return: whether it is READY; False: it has ended, or is never ready."""
        with self.spawn(before_exec) as notify, Patience() as patience:
            while self.process.poll() is None and patience.seconds() < PATIENCE_SECONDS:
                if not select.select([notify], [], [], 0.05)[0]:
                    continue
                if b"READY=1" in notify.recv(ROOM).split(b"\n"):
                    return True
        return False

    def start_or_fail(self):
        if not self.start():
            raise RuntimeError("the daemon does not start, without any attack:\n" + self.log())

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()

    def pause(self):
        """It does nothing, from here on until go_on()."""
        os.kill(self.process.pid, signal.SIGSTOP)
        if not soon(lambda: stat_of(self.process.pid)[0] in "Tt"):
            raise RuntimeError("the daemon does not stop")

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    # ---- what is said to it ----

    def connect(self):
        return Connection(self)

    def attach(self, segment="", nonce=1, segment_id=0, name="attack"):
        """Return: a connection on which the daemon has said welcome, and what it said."""
        connection = self.connect()
        return connection, connection.hello(self.name + segment, nonce, segment_id, name)

    def list(self, seconds=PATIENCE_SECONDS):
        with self.connect() as connection:
            return connection.list(seconds)

    def current(self, segment):
        """The place of the segment's newest generation."""
        places = [place for place in self.list() if place.segment == self.name + segment]
        return max(places, key=lambda place: place.generation)

    def reload(self):
        with self.connect() as connection:
            connection.ask_for_reload()
            return connection.reloaded()


class Connection:
    def __init__(self, daemon):
        self.daemon = daemon
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            self.socket.connect(daemon.socket_path)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def version(self):
        """Of the daemon: that of its answer to a message it cannot know."""
        if self.daemon.version is None:
            with Connection(self.daemon) as other:
                other.socket.send(MESSAGE.pack(MAGIC, 0, LIST, MESSAGE.size, 0))
                self.daemon.version = MESSAGE.unpack_from(other.receive())[1]
        return self.daemon.version

    def send(self, kind, body):
        self.socket.send(self.message(kind, body))

    def message(self, kind, body=b""):
        return MESSAGE.pack(MAGIC, self.version(), kind, MESSAGE.size + len(body), 0) + body

    def pass_fds(self, message, fds):
        """Send a message, or anything else, with descriptors. Return: whether it went out."""
        try:
            self.socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                             array.array("i", fds))])
        except OSError as error:
            # The other end takes none; or it has hung up.
            if error.errno in (errno.EPERM, errno.EPIPE):
                return False
            raise
        return True

    def receive(self, seconds=PATIENCE_SECONDS):
        with Patience() as patience:
            while patience.seconds() < seconds:
                if not select.select([self.socket], [], [], 0.05)[0]:
                    continue
                message = self.socket.recv(ROOM)
                if not message:
                    raise Silent("the daemon has closed the connection")
                return message
        raise Silent(f"no answer within {seconds} s")

    def expect(self, kind, seconds=PATIENCE_SECONDS):
        """Return: what stands behind the head of an answer of this kind."""
        message = self.receive(seconds)
        answer = MESSAGE.unpack_from(message)[2]
        body = message[MESSAGE.size:]
        if answer == REFUSED:
            error, = struct.unpack_from("=i", body)
            raise Refused(error, text_of(body[8:]))
        if answer != kind:
            raise RuntimeError(f"answer 0x{answer:02x} instead of 0x{kind:02x}")
        return body

    def unpack_place(self, body):
        version = VERSIONS[self.version()]
        place = struct.Struct(f"={version.place_numbers}Q32s{version.name_bytes}s")
        *numbers, segment, shm_name = place.unpack_from(body)
        return Place(*numbers[:3], text_of(segment), text_of(shm_name)), place.size

    def hello_body(self, segment="", nonce=1, segment_id=0, name="attack"):
        return (struct.pack("=QQ32s32s", nonce, segment_id, segment.encode(), name.encode()) +
                bytes(VERSIONS[self.version()].hello_rest))

    def hello(self, segment="", nonce=1, segment_id=0, name="attack"):
        self.send(HELLO, self.hello_body(segment, nonce, segment_id, name))
        body = self.expect(WELCOME)
        place, size = self.unpack_place(body)
        return Welcome(place, *struct.unpack_from("=II", body, size))

    def bye(self):
        """Say it, and wait until the daemon has closed the connection."""
        self.send(BYE, struct.pack("=Q", 0))
        try:
            while True:
                self.receive()
        except (Silent, ConnectionError):
            self.close()

    def list(self, seconds=PATIENCE_SECONDS):
        self.send(LIST, b"")
        places = []
        while True:
            body = self.expect(SEGMENT, seconds)
            place, size = self.unpack_place(body)
            _, n = struct.unpack_from("=II", body, size)
            if n == 0:
                return []
            places.append(place)
            if len(places) == n:
                return places

    def ask_for_reload(self):
        self.send(RELOAD, bytes(VERSIONS[self.version()].reload_bytes))

    def reloaded(self):
        body = self.expect(RELOADED)
        error, = struct.unpack_from("=i", body)
        return Reloaded(error, text_of(body[VERSIONS[self.version()].text_offset:]))


def attach_soon(daemon, segment="", nonce=1):
    """As attach(), again and again while it is refused for now. None: it never works."""
    answer = []

    def try_once():
        try:
            answer.append(daemon.attach(segment, nonce))
        except (Refused, Silent, ConnectionError, FileNotFoundError):
            return False
        return True

    return answer[0] if soon(try_once) else None


# ---- the segment ----

FREE, OWNED, SENT, SHARED = range(4)
HOLDER_LIVE = 1
HEADER_BYTES, PAGE, LINE = 256, 4096, 64
POOL_RECORD, HOLDER_RECORD, RING_RECORD, ENTRY = 128, 128, 256, 16
EMPTY_POOL = 63


def word(generation, kind, value=0):
    return generation << 32 | kind << 30 | value


def round_up(value, to):
    return (value + to - 1) // to * to


def list_bytes(n):
    """Of the two-level bitmap of hints."""
    leaves = round_up(n, 64) // 64
    return 8 * (round_up(leaves, 8) + round_up(round_up(leaves, 64) // 64, 8))


class Object:
    """An object, mapped as any member of its segment can map it."""

    def __init__(self, shm_name):
        self.path = "/dev/shm" + shm_name
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self.memory = self.chunks = mmap.mmap(self.fd, os.fstat(self.fd).st_size)
        if os.path.exists(self.path + ".data"):
            with open(self.path + ".data", "r+b") as data:
                self.chunks = mmap.mmap(data.fileno(), 0)

    def close(self):
        self.memory.close()
        self.chunks.close()
        os.close(self.fd)

    def get(self, form, offset):
        value, = struct.unpack_from("=" + form, self.memory, offset)
        return value

    def put(self, form, offset, *values):
        struct.pack_into("=" + form, self.memory, offset, *values)

    def size(self):
        return os.fstat(self.fd).st_size

    def taken(self):
        """Bytes of memory that it has."""
        return os.fstat(self.fd).st_blocks * 512

    def record(self, i):
        record = self.get("Q", 120) + i * POOL_RECORD
        return struct.unpack_from("=4QI", self.memory, record)

    def pool(self, i):
        chunk_size, stride, data, index, n = self.record(i)
        return Pool(self, i, chunk_size, stride, data, index, n)

    def ring(self, i):
        record = self.get("Q", 128) + i * RING_RECORD
        slots, capacity = struct.unpack_from("=QI", self.memory, record + 32)
        return Ring(self, record, slots, capacity)

    def holder(self, i):
        return self.get("Q", 32) + i * self.get("Q", 40)


class Pool(namedtuple("Pool", "object id chunk_size stride data index n")):
    def entry(self, i):
        return self.index + list_bytes(self.n) + i * ENTRY

    def word(self, i):
        return self.object.get("Q", self.entry(i))

    def set_word(self, i, value):
        self.object.put("Q", self.entry(i), value)

    def chunk(self, i):
        """Where it stands in the object's chunks; a ChunkManager: in its memory."""
        if self.object.chunks is self.object.memory or self.id == self.object.get("I", 108):
            return self.data + i * self.stride
        return self.data - self.object.record(0)[2] + i * self.stride

    def claim(self, i, holder):
        """As a client does it: the chunk is OWNED by the holder. Return: its word."""
        owned = word(self.word(i) >> 32, OWNED, holder)
        self.set_word(i, owned)
        return owned


Ring = namedtuple("Ring", "object record slots capacity")


# ---- a shape of the attacker's choice ----

def mix(value, data):
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


class Forged:
    """The header and tables of a segment with one pool of chunks of 8 bytes, in which every
    word is SHARED by one ChunkManager that names everybody. All of it agrees with itself."""

    def __init__(self, major, n_chunks, n_holders):
        self.major, self.n_chunks, self.n_holders = major, n_chunks, n_holders
        self.pools_off = PAGE
        self.holders_off = self.pools_off + 2 * POOL_RECORD
        self.rings_off = off = self.holders_off + n_holders * HOLDER_RECORD
        self.manager_bytes = 8 + n_holders // 8
        self.pools = []
        # From version 2 on the chunks are another object, whose place is behind this one.
        is_apart = major >= 2
        for size in 8, self.manager_bytes:
            data = round_up(off, PAGE)
            begin = off if is_apart and size == 8 else data + n_chunks * size
            index = round_up(begin, LINE)
            off = index + list_bytes(n_chunks) + n_chunks * ENTRY
            self.pools.append([size, size, data, index, n_chunks, 8, 64])
        self.object_bytes = self.total_size = round_up(round_up(off, LINE), PAGE)
        self.data_bytes = 0
        if is_apart:
            self.pools[0][2] = self.object_bytes
            self.data_bytes = round_up(n_chunks * 8, PAGE)
            self.total_size += self.data_bytes

    def fingerprint(self):
        value = 0xcbf29ce484222325
        numbers = [self.major, self.n_holders, 1] + [PAGE, PAGE] * (self.major >= 2) + [1]
        for size, _, _, _, n_chunks, alignment, cache in self.pools:
            numbers += [size, n_chunks, alignment, cache]
        for number in numbers + [0]:
            value = mix(value, struct.pack("=Q", number))
        return value

    def write(self, segment):
        """Over the object of a segment, which grows. Not by a mapping: a daemon may cut it meanwhile."""
        created, name = bytes(segment.memory[96:108]), bytes(segment.memory[144:176])
        os.ftruncate(segment.fd, self.object_bytes)
        header = bytearray(segment.memory[:PAGE])
        struct.pack_into("=IQQQ", header, 20, self.n_holders, self.total_size,
                         self.holders_off, HOLDER_RECORD)
        if self.major >= 2:
            struct.pack_into("=QQQ", header, 48, self.object_bytes, self.data_bytes, PAGE)
            struct.pack_into("=Q", header, 176, PAGE)
        struct.pack_into("=Q", header, 88, self.fingerprint())
        header[96:108] = created
        struct.pack_into("=IIIQQII", header, 108, 1, 0, 0, self.pools_off, self.rings_off,
                         1, self.n_holders - 64)
        header[144:176] = name
        for i, pool in enumerate(self.pools):
            os.pwrite(segment.fd, struct.pack("=4Q3I", *pool), self.pools_off + i * POOL_RECORD)
            os.pwrite(segment.fd, struct.pack("=QQ", word(1, SHARED), 0) * self.n_chunks,
                      pool[3] + list_bytes(self.n_chunks))
        os.pwrite(segment.fd, b"\xff" * (self.n_holders // 8), self.pools[1][2] + 8)
        os.pwrite(segment.fd, header, 0)
        os.ftruncate(segment.fd, self.object_bytes)

    def write_holders(self, segment, process):
        """Each of them lives, and is that process."""
        start_time = int(stat_of(process)[19])
        record = struct.pack("=IIQIIIIQQ32s", HOLDER_LIVE, process, start_time, 0,
                             os.geteuid(), 1, 0, 1, 1, b"forged").ljust(HOLDER_RECORD, b"\0")
        os.pwrite(segment.fd, record * self.n_holders, self.holders_off)
        os.ftruncate(segment.fd, self.object_bytes)


class Million:
    """A client of segment a, which can make its header tell of a million chunks and 32,640
    clients, all of whom share each chunk."""

    def __init__(self, daemon):
        self.connection, welcome = daemon.attach("a")
        self.segment = Object(welcome.place.shm_name)
        self.forged = Forged(self.segment.get("H", MAJOR_OFFSET), 1 << 20, 32704)

    def forge(self):
        self.forged.write(self.segment)


# ---- other processes ----

def in_child(function, *arguments, uid=None):
    """Run it in a child, as another user perhaps. Return: its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        function(*arguments)
        os._exit(0)
    except BaseException as error:  # pylint: disable=broad-except
        print(f"in a child: {error!r}", file=sys.stderr)
        os._exit(1)


def wait_for(pid):
    """Return: whether it ended well."""
    return os.waitpid(pid, 0)[1] == 0


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def in_namespace(flag, prepare, function, *arguments):
    """Run it as the first process of a new namespace. Return: the text that it returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        if LIBC.unshare(flag) != 0:
            os._exit(EXIT_NOT_HERE)
        try:
            prepare()
        except PermissionError:
            os._exit(EXIT_NOT_HERE)

        def first():
            os.write(writer, function(*arguments).encode())

        os._exit(0 if wait_for(in_child(first)) else 1)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == EXIT_NOT_HERE:
        not_here("new namespaces, or what is set in them, are not permitted")
    if status != 0:
        raise RuntimeError("a run in a namespace failed")
    return text


def own_mounts():
    """What is mounted from here on stays in our mount namespace.

    In a chroot "/" need not be a mount point, so it has no propagation to set. The namespace's
    root has. It is found above a root that is put below the current folder; then our own root
    is put back.
    """
    if LIBC.mount(b"none", b"/", None, MS_REC_PRIVATE, None) == 0:
        return
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    os.chdir("/")
    os.chroot("tmp")
    while not os.path.samestat(os.stat("."), os.stat("..")):
        os.chdir("..")
    failed = LIBC.mount(b"none", b".", None, MS_REC_PRIVATE, None) != 0
    os.fchdir(root)
    os.chroot(".")
    os.close(root)
    if failed:
        raise RuntimeError("cannot have mounts of our own")


# ---- an older kernel ----

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
FILTER_ALLOW, FILTER_ERRNO = 0x7fff0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SO_PASSRIGHTS = 83
SETSOCKOPT, GETSOCKOPT = {"x86_64": (54, 55), "aarch64": (208, 209)}.get(
    platform.machine(), (None, None))


class FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_calls(calls, error):
    """From now on they fail, in this process and its children.

    calls: [(number, {index of an argument: its value})]
    """
    code = []
    for number, arguments in calls:
        looks = [(0, number)] + [(16 + 8 * i, value) for i, value in arguments.items()]
        for i, (offset, value) in enumerate(looks):
            code.append((LOAD, 0, 0, offset))
            code.append((JUMP_IF_EQUAL, 0, 2 * (len(looks) - i) - 1, value))
        code.append((RETURN, 0, 0, FILTER_ERRNO | error))
    code.append((RETURN, 0, 0, FILTER_ALLOW))
    text = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                  ctypes.byref(FilterProgram(len(code), text)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def without_passrights():
    """As before Linux 6.16: no socket refuses descriptors. Before an exec."""
    refuse_calls([(call, {1: socket.SOL_SOCKET, 2: SO_PASSRIGHTS})
                  for call in (SETSOCKOPT, GETSOCKOPT)], errno.ENOPROTOOPT)


def kernels():
    """What a daemon is to be started with, and what that is called: this kernel, and an older
    one."""
    yield None, "this kernel"
    if SETSOCKOPT is not None:
        yield without_passrights, "a kernel without SO_PASSRIGHTS"


# ---- mempoolctl ----

def look(daemon, seconds):
    """Whether `mempoolctl status` shows segment b, beside a, in that time."""
    with open(os.path.join(daemon.folder, "status"), "w+", encoding="utf-8") as out:
        status = subprocess.Popen([mempoolctl_of(daemon.path), "status", "--json"], stdout=out,
                                  stderr=out,
                                  env={**os.environ, "MEMPOOL_SOCKET": daemon.socket_path})
        ended = soon(lambda: status.poll() is not None, seconds)
        status.kill()
        status.wait()
        out.seek(0)
        text = out.read()
    if not ended:
        succeeded(f"mempoolctl status is not back after {seconds} s")
    if f'"{daemon.name}b"' not in text:
        succeeded(f"mempoolctl status does not show the segment beside it:\n{text}")
    held_off("mempoolctl status shows the segment beside it")


def start_server(daemon):
    """Return: the process, and its address."""
    log_path = os.path.join(daemon.folder, "serve.log")
    with open(log_path, "w", encoding="utf-8") as log:
        server = subprocess.Popen([mempoolctl_of(daemon.path), "serve", "--listen", "127.0.0.1:0"], stderr=log,
                                  preexec_fn=die_with_parent,
                                  env={**os.environ, "MEMPOOL_SOCKET": daemon.socket_path})
    found = []

    def is_there():
        with open(log_path, encoding="utf-8") as log:
            found[:] = re.findall(r"http://127\.0\.0\.1:\d+", log.read())
        return found

    if not soon(is_there):
        raise RuntimeError("mempoolctl serve does not start")
    return server, found[0]


def used(address, segment):
    """Chunks of it in use, as the metrics have it; None: they do not tell."""
    with urllib.request.urlopen(address + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines()
             if line.startswith("mempool_pool_used_chunks{") and f'"{segment}"' in line]
    return int(lines[0].split()[-1]) if lines else None


def serve(daemon, spoil, seconds):
    """Whether `mempoolctl serve` tells of segment b what it is now, while a is spoilt."""
    server, address = start_server(daemon)
    try:
        _, beside = daemon.attach("b", nonce=2)
        pool = Object(beside.place.shm_name).pool(0)
        pool.claim(0, beside.holder)
        if not soon(lambda: used(address, daemon.name + "b") == 1):
            raise RuntimeError("the metrics do not follow, without any attack")
        spoil()
        # Twice: a look that had begun before tells nothing.
        for i in (1, 2):
            pool.claim(i, beside.holder)
            if not soon(lambda i=i: used(address, daemon.name + "b") == i + 1, seconds):
                succeeded("the metrics of the segment beside it stand still")
        held_off("the metrics of the segment beside it go on")
    finally:
        server.kill()
        server.wait()


# ---- the whole ----

def main(attack):
    """attack(path of mempoold)"""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} MEMPOOLD")
    try:
        attack(os.path.realpath(sys.argv[1]))
    except Verdict as verdict:
        words = {EXIT_HELD_OFF: "held off", EXIT_SUCCEEDED: "succeeded",
                 EXIT_NOT_HERE: "not possible here"}
        print(f"{words[verdict.status]}: {verdict}")
        sys.exit(verdict.status)
    sys.exit("no verdict")
