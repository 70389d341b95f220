# SPDX-License-Identifier: MIT
"""suite.py - what bench/run measures: systems, cases, tables and targets

A case is one piece of work (loops.h has each); its systems are measured one after the other
within a round. A figure is named "CASE", or "CASE/NAME" where a case prints several.
"""
from collections import namedtuple

# What Debian 12 calls them; scripts/install-deps has what the build itself needs.
PACKAGES = ['g++', 'iceoryx', 'libboost-dev', 'libdpdk-dev', 'libiceoryx-hoofs-dev',
            'libiceoryx-posh-dev', 'libjemalloc-dev', 'libmimalloc-dev', 'libqb-dev',
            'libzmq3-dev', 'python3-matplotlib']

# With the build whose daemon and library it is, where that is another one.
System = namedtuple('System', 'program options title build', defaults=[None])
SYSTEMS = {
    'mempool': System('mempool', [], 'mempool'),
    'mempool-threads': System('mempool', ['--threads'], 'mempool, two threads'),
    'mempool-built-in': System('mempool-built-in', [], 'mempool, built in'),
    'mempool-spectators': System('mempool', ['--variant', 'spectators'], 'mempool, spectators'),
    'mempool-spin': System('mempool', ['--variant', 'spin'], 'mempool, spin_ns of 100 µs'),
    'mempool-few': System('mempool', ['--variant', 'few'], 'mempool, at most 4 on their way'),
    'mempool-reader': System('mempool', ['--variant', 'reader'], 'mempool, a reader'),
    'mempool-spectator': System('mempool', ['--variant', 'spectator'], 'mempool, a spectator'),
    'mempool-bounded': System('mempool', ['--variant', 'bounded'], 'mempool, a client with a bound'),
    'mempool-traced': System('mempool', ['--variant', 'traced'], 'mempool, allocations traced'),
    'mempool-stamped': System('mempool', ['--variant', 'stamped'], 'mempool, a queue with stamps'),
    'mempool-roles': System('mempool', ['--variant', 'roles'], 'mempool, one sender and receiver'),
    'mempool-slots': System('mempool', ['--variant', 'slots'], 'mempool, messages in slots'),
    'mempool-slots-threads': System('mempool', ['--threads', '--variant', 'slots'],
                                    'mempool, messages in slots, two threads'),
    'dpdk': System('dpdk', ['--threads'], 'DPDK'),
    'dpdk-sp-sc': System('dpdk', ['--threads', '--variant', 'sp-sc'], 'DPDK, SP/SC ring'),
    'dpdk-nocache': System('dpdk', ['--threads', '--variant', 'nocache'], 'DPDK, no cache'),
    'iceoryx': System('iceoryx', [], 'iceoryx'),
    'iceoryx-raw': System('iceoryx-raw', [], 'iceoryx, raw MemPool'),
    'boost': System('boost', [], 'Boost.Interprocess'),
    'libqb': System('libqb', [], 'libqb ring buffer'),
    'zeromq': System('zeromq', [], 'ZeroMQ ipc://'),
    'zeromq-inproc': System('zeromq', ['--threads'], 'ZeroMQ inproc://'),
    'glibc': System('glibc', ['--threads'], 'glibc malloc'),
    'jemalloc': System('jemalloc', ['--threads'], 'jemalloc'),
    'mimalloc': System('mimalloc', ['--threads'], 'mimalloc'),
    'limits': System('limits', [], "the machine's limit"),
    'limits-timerfd': System('limits', ['--variant', 'timerfd'], "the machine's limit, timerfd"),
    'reap': System('reap', [], 'mempool'),
    'answer': System('answer', [], 'mempool'),
    'turns': System('turns', [], 'mempool'),
}

# Where one side is another user.
AS_ROOT = ['mempool-spectator']

# Programs that are always there, and have all that is asked of them here.
OWN = ['mempool', 'reap', 'answer', 'turns', 'limits', 'glibc']

OURS = ['mempool', 'mempool-threads']
POOLS = ['mempool', 'mempool-built-in', 'dpdk', 'dpdk-nocache', 'iceoryx', 'iceoryx-raw', 'boost', 'glibc',
         'jemalloc', 'mimalloc']
CONTENDED = OURS + POOLS[1:]
CHANNELS = OURS + ['dpdk', 'dpdk-sp-sc', 'iceoryx', 'boost', 'libqb', 'zeromq',
                   'zeromq-inproc']
OPTIONS = ['mempool', 'mempool-bounded', 'mempool-traced', 'mempool-stamped']
SLEEPERS = [name for name in CHANNELS if not name.startswith('dpdk')]
SIZES = [128, 4096, 1048576]
# Of messages that go into a slot.
SMALL = [8, 56, 128]
SMALL_CHANNELS = ['mempool-slots', 'mempool-slots-threads', 'mempool-roles', 'libqb', 'dpdk-sp-sc']

Case = namedtuple('Case', 'name arguments systems')


def _without(systems, name):
    return [system for system in systems if system != name]


def _cases():
    yield Case('line', ['line'], ['limits'])
    yield Case('pair', ['pair', '128', '10000'], POOLS + ['limits'])
    # A publisher of iceoryx has 8 loans at most.
    yield Case('batch', ['batch', '128', '10000'], _without(POOLS, 'iceoryx'))
    yield Case('batch-many', ['batch-many', '128', '10000'],
               ['mempool', 'mempool-built-in', 'dpdk', 'dpdk-nocache'])
    yield Case('contended', ['contended', '128', '10000'], CONTENDED)
    yield Case('contended-batch', ['contended-batch', '128', '10000'],
               _without(CONTENDED, 'iceoryx'))
    yield Case('options-pair', ['pair', '128', '10000'], OPTIONS)
    yield Case('options-message', ['message', '128', '10000'], OPTIONS)
    for how in ['8', 'all']:
        for size in SIZES:
            yield Case(f'throughput-{size}-{how}', ['throughput', str(size), how],
                       CHANNELS + (['mempool-few'] if how == 'all' else []))
    for size in SMALL:
        yield Case(f'small-{size}', ['throughput', str(size), 'all'], SMALL_CHANNELS)
    for how in ['8', 'all']:
        for size in SIZES:
            yield Case(f'roundtrip-{size}-{how}', ['roundtrip', str(size), how],
                       CHANNELS + (['limits'] if (size, how) == (128, '8') else []))
    for size in SIZES:
        yield Case(f'blocking-{size}', ['blocking', str(size), '8'],
                   SLEEPERS + (['mempool-spin', 'limits'] if size == 128 else []))
    yield Case('polling-128', ['polling', '128', '8'], ['mempool', 'limits', 'limits-timerfd'])
    for size in SIZES[1:]:
        yield Case(f'copy-{size}', ['copy', str(size)], ['limits'])
    for n in [1, 4, 16]:
        yield Case(f'publish-{n}', ['publish', '128', str(n)],
                   ['mempool', 'mempool-spectators', 'iceoryx', 'zeromq'])
    for n in [0, 16]:
        yield Case(f'publish-stopped-{n}', ['publish-stopped', '128', str(n)],
                   ['mempool', 'iceoryx'])
    for n in [1000, 1000000, 10000000]:
        yield Case(f'chunks-{n}', ['pair', '128', str(n)],
                   ['mempool', 'dpdk', 'iceoryx-raw', 'boost'])
    for n in [1, 16, 64, 256]:
        yield Case(f'clients-{n}', ['clients', '128', str(n)], ['mempool', 'iceoryx'])
    yield Case('nearly-empty', ['nearly-empty', '128', '100000'],
               OURS + ['dpdk', 'dpdk-nocache', 'iceoryx-raw', 'boost'])
    yield Case('exhausted', ['exhausted', '128', '1000000'],
               ['mempool', 'dpdk', 'dpdk-nocache', 'iceoryx-raw', 'boost'])
    yield Case('tail', ['tail', '128', '10000'], POOLS + ['limits'])
    yield Case('tail-loaded', ['tail-loaded', '128', '10000'],
               _without(CONTENDED, 'iceoryx') + ['limits'])
    yield Case('tail-turns', ['tail-turns', '128', '1000'],
               OURS + ['mempool-built-in', 'dpdk', 'dpdk-nocache', 'iceoryx-raw', 'boost'])
    for work in ['kill-alloc', 'kill', 'death']:
        yield Case(work, [work, '128', '10000'], ['mempool', 'iceoryx', 'boost'])
    yield Case('start', ['start', '1024', '10000'], ['mempool', 'iceoryx'])
    yield Case('attach', ['attach', '128', '10000'], ['mempool', 'iceoryx'])
    for n in [3, 62]:
        yield Case(f'attach-{n}', ['--pools', str(n), 'attach', '128', '1000'],
                   ['mempool', 'mempool-reader', 'mempool-spectator', 'iceoryx'])
    yield Case('memory-128', ['memory', '128', '1000000'], ['mempool', 'iceoryx'])
    yield Case('memory-4096', ['memory', '4096', '100000'], ['mempool', 'iceoryx'])
    yield Case('reap', ['reap', '128', '1000000'], ['reap'])
    yield Case('answer', ['answer', '128', '1000000', '100'], ['answer'])
    yield Case('turns', ['turns', '128', '1000000', '100'], ['turns'])


CASES = list(_cases())


def against(name, build):
    """Another build of this project, by the same programs: its daemon and its library."""
    SYSTEMS[f'mempool-{name}'] = System('mempool', [], f'mempool, {name}', build)
    CASES[:] = [case._replace(systems=case.systems + [f'mempool-{name}'])
                if 'mempool' in case.systems else case for case in CASES]
# In the first round only: they take long, where something hangs.
ONCE = ['kill-alloc', 'kill', 'death']
LARGE = ['chunks-10000000']  # more than a gigabyte: not for a quick run

# A table: one column per figure, one row per system; of the machine's limits `with` them, or them
# `only`.
Table = namedtuple('Table', 'name columns limits', defaults=['without'])
TABLES = [
    Table('pool', [('pair', 'pair'), ('batch', '1000 and 1000'),
                   ('batch-many', '1000 and 1000 in two calls'),
                   ('contended', 'pair, both CPUs'),
                   ('contended-batch', '1000 and 1000, both CPUs')]),
    Table('options', [('options-pair', 'alloc and free'),
                      ('options-message', 'alloc, send, receive and free')]),
    Table('throughput', [(f'throughput-{size}-{how}', f'{title}, {what}')
                         for how, what in [('8', '8 bytes'), ('all', 'all')]
                         for size, title in zip(SIZES, ['128 B', '4 KiB', '1 MiB'])]),
    Table('small', [(f'small-{size}', f'{size} B') for size in SMALL]),
    Table('roundtrip', [(f'roundtrip-{size}-{how}', f'{title}, {what}')
                        for how, what in [('8', '8 bytes'), ('all', 'all')]
                        for size, title in zip(SIZES, ['128 B', '4 KiB', '1 MiB'])]),
    Table('blocking', [(f'blocking-{size}', title)
                       for size, title in zip(SIZES, ['128 B', '4 KiB', '1 MiB'])]),
    Table('polling', [('polling-128', '128 B')]),
    Table('publish', [(f'publish-{n}/{what}', f'{what}, {n}')
                      for what in ['publish', 'deliver'] for n in [1, 4, 16]] +
          [('publish-stopped-0', 'publish, none'), ('publish-stopped-16', '16 stopped')]),
    Table('chunks', [('chunks-1000', '1000 chunks'), ('chunks-1000000', '1 million'),
                     ('chunks-10000000', '10 million')]),
    Table('clients', [(f'clients-{n}', f'{n} attached') for n in [1, 16, 64, 256]]),
    Table('full', [('nearly-empty', '1 of 100 000 free'),
                   ('exhausted/first', 'none of 1 million: first'),
                   ('exhausted/then', 'then'), ('exhausted/obtained', 'obtained')]),
    *[Table(name, [(f'{case}/{part}', part) for part in ['p50', 'p99', 'p99.9', 'max']] +
            [(f'{case}/clock', 'of it the clock')], 'with')
      for name, case in [('tail', 'tail'), ('tailloaded', 'tail-loaded'),
                         ('tailturns', 'tail-turns')]],
    Table('kill', [(f'{work}/{name}', f'{title}: {what}')
                   for work, title in [('kill-alloc', 'alloc, free'), ('kill', 'hand-over')]
                   for name, what in [('killed', 'killed'), ('lost', 'chunks lost'),
                                      ('hangs', 'hangs')]] + [('death', 'free again after')]),
    Table('broker', [('start', 'start to ready'), ('attach/attach', 'attach'),
                     ('attach/close', 'close'), ('memory-128/RssAnon', 'RssAnon'),
                     ('memory-128/segment', 'segment, 128 B'),
                     ('memory-4096/segment', 'segment, 4 KiB')]),
    Table('roles', [(f'attach-{n}/{what}', f'{what}, {n} pools')
                    for what in ['attach', 'close'] for n in [3, 62]]),
    Table('reap', [('reap', 'one dead client, 1 million chunks')]),
    Table('answer', [(f'answer/{what}', title)
                     for what, title in [('answer', 'while 100 dead are swept for'),
                                         ('answer-p99.9', 'p99.9'),
                                         ('answer-work-p99.9', 'p99.9, of its own time'),
                                         ('idle-p99.9', 'idle, p99.9')]]),
    Table('turns', [(f'turns/{what}', title)
                    for what, title in [('turn', 'median'), ('turn-p99', 'p99'),
                                        ('turn-p99.9', 'p99.9'),
                                        ('turn-slowest', 'the longest')]]),
    Table('limits', [('line', 'line, there and back'), ('pair', 'compare-and-swap, store'),
                     ('roundtrip-128-8', 'word, there and back'),
                     ('blocking-128', 'by a futex, there and back'),
                     ('polling-128', 'by an eventfd, there and back'),
                     ('copy-4096', 'memcpy 4 KiB'), ('copy-1048576', 'memcpy 1 MiB')],
          'only'),
]

# A target: of `figure` of `system`, in `unit`, or as a ratio to another figure of another
# system in the same round (`rate`: the ratio upside down, as of messages a second).
Target = namedtuple('Target', 'what figure system unit against rate limit')


def _value(what, figure, limit, unit, system='mempool'):
    return Target(what, figure, system, unit, None, False, limit)


def _ratio(what, figure, system, limit, other_figure, other_system, rate=False):
    return Target(what, figure, system, None, (other_figure, other_system), rate, limit)


TARGETS = [
    _ratio("pair against DPDK's cached mempool", 'pair', 'mempool', 1.0, 'pair', 'dpdk'),
    _ratio('pair, built in, against jemalloc', 'pair', 'mempool-built-in', 1.0, 'pair',
           'jemalloc'),
    _ratio('pair contended, two processes, against alone', 'contended', 'mempool', 1.1,
           'pair', 'mempool'),
    _ratio('pair contended, two threads, against alone', 'contended', 'mempool-threads', 1.1,
           'pair', 'mempool'),
    _ratio('batch of 1000 against mimalloc', 'batch', 'mempool', 1.0, 'batch', 'mimalloc'),
    _ratio('batch of 1000 in two calls against mimalloc', 'batch-many', 'mempool', 1.0, 'batch',
           'mimalloc'),
    _ratio("messages a second against DPDK's MP/MC ring, two threads each",
           'throughput-128-all', 'mempool-threads', 1.0, 'throughput-128-all', 'dpdk', True),
    _ratio("messages a second against DPDK's SP/SC ring, two threads each (near)",
           'throughput-128-all', 'mempool-threads', 0.8, 'throughput-128-all', 'dpdk-sp-sc',
           True),
    _ratio('messages of 8 bytes a second in slots against libqb', 'small-8', 'mempool-slots', 1.0,
           'small-8', 'libqb', True),
    _ratio('messages of 56 bytes a second in slots against libqb', 'small-56', 'mempool-slots', 1.0,
           'small-56', 'libqb', True),
    _ratio('messages of 128 bytes a second in slots against libqb', 'small-128', 'mempool-slots', 1.0,
           'small-128', 'libqb', True),
    _ratio('messages a second against iceoryx', 'throughput-128-all', 'mempool', 20,
           'throughput-128-all', 'iceoryx', True),
    _ratio('round trip against DPDK, two threads each', 'roundtrip-128-8', 'mempool-threads',
           1.0, 'roundtrip-128-8', 'dpdk'),
    _ratio('round trip of 1 MiB against 128 bytes (flat)', 'roundtrip-1048576-8', 'mempool',
           1.1, 'roundtrip-128-8', 'mempool'),
    _ratio('blocking round trip against a bare futex', 'blocking-128', 'mempool', 1.1,
           'blocking-128', 'limits'),
    _ratio('polling round trip against a bare eventfd', 'polling-128', 'mempool', 2.0,
           'polling-128', 'limits'),
    _ratio('polling round trip against a bare timerfd', 'polling-128', 'mempool', 1.3,
           'polling-128', 'limits-timerfd'),
    _ratio('publish, 16 stopped subscribers against none', 'publish-stopped-16', 'mempool', 1.1,
           'publish-stopped-0', 'mempool'),
    _ratio('publish, one spectator against one subscriber', 'publish-1/publish',
           'mempool-spectators', 1.0, 'publish-1/publish', 'mempool'),
    _value('start to READY', 'start', 15e6, 'ns'),
    _value('attach', 'attach/attach', 200e3, 'ns'),
    _value('RssAnon of the daemon', 'memory-128/RssAnon', 4, 'MiB'),
    _value('segment, 128-byte chunks, 256 holders', 'memory-128/segment', 1.65,
           'bytes a payload byte'),
    _value('segment, 4 KiB chunks', 'memory-4096/segment', 1.03, 'bytes a payload byte'),
    _value('failing alloc, 1 million held, after the first', 'exhausted/then', 1000, 'ns'),
    _value('alloc, 1 of 100 000 free', 'nearly-empty', 1000, 'ns'),
    _value('answers while 100 dead are swept for, 1 million chunks, p99.9',
           'answer/answer-p99.9', 1e6, 'ns', 'answer'),
    _value('turn of the loop meanwhile, p99.9', 'turns/turn-p99.9', 1e6, 'ns', 'turns'),
    _value('reap of one dead client, 1 million chunks', 'reap', 20e6, 'ns', 'reap'),
]
