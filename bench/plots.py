# SPDX-License-Identifier: MIT
"""plots.py - pictures of the figures that bench/run measured, as SVG"""
import os
import statistics

import matplotlib

matplotlib.use('svg')
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: E402

import suite  # noqa: E402

INK, MUTED, GRID = '#1f2430', '#6b7280', '#e5e7eb'
COLOURS = {
    'mempool': '#0b61a4', 'mempool-threads': '#58a4e0',
    'dpdk': '#d1495b', 'dpdk-sp-sc': '#ea9aa5', 'dpdk-nocache': '#ea9aa5',
    'iceoryx': '#2a9d6f', 'iceoryx-raw': '#8fd0b5',
    'boost': '#8d6cab', 'libqb': '#c98a1b', 'zeromq': '#7a7f87', 'zeromq-inproc': '#b4b8be',
    'glibc': '#9aa0a6', 'jemalloc': '#9aa0a6', 'mimalloc': '#9aa0a6', 'limits': '#111111',
}


def _colour(name):
    """A variant that has no colour of its own has that of its system."""
    return COLOURS.get(name) or COLOURS[name.split('-')[0]]


plt.rcParams.update({
    'font.family': 'DejaVu Sans', 'font.size': 10, 'text.color': INK,
    'axes.edgecolor': MUTED, 'axes.labelcolor': INK, 'xtick.color': MUTED,
    'ytick.color': INK, 'axes.spines.top': False, 'axes.spines.right': False,
    'axes.titlelocation': 'left', 'axes.titleweight': 'bold', 'axes.titlesize': 11,
    'axes.titlepad': 12, 'svg.hashsalt': 'bench', 'svg.fonttype': 'none',
})


def _time(value, _=None):
    for unit, size in ('ns', 1), ('µs', 1e3), ('ms', 1e6), ('s', 1e9):
        if value < 1000 * size or unit == 's':
            return f'{value / size:.3g} {unit}'


def _save(figure, folder, name):
    figure.savefig(os.path.join(folder, name + '.svg'), bbox_inches='tight',
                   metadata={'Date': None, 'Creator': None})
    plt.close(figure)


def _dots(axes, figures, figure, title):
    """Medians as dots on a logarithmic scale, least to most as a line; the fastest on top."""
    systems = [name for name in suite.SYSTEMS if figures.has(figure, name)]
    systems.sort(key=lambda name: -figures.median(figure, name))
    for place, name in enumerate(systems):
        values = figures.of(figure, name)
        median = statistics.median(values)
        axes.axhline(place, color=GRID, linewidth=0.8, zorder=0)
        axes.plot([values[0], values[-1]], [place, place], color=_colour(name), linewidth=4,
                  alpha=0.35, solid_capstyle='round', zorder=2)
        axes.plot([median], [place], color=_colour(name), marker='o', markersize=9, zorder=3)
        axes.annotate(_time(median), xy=(values[-1], place), xytext=(10, 0),
                      textcoords='offset points', va='center', fontsize=9, color=INK)
    axes.set_yticks(range(len(systems)), [suite.SYSTEMS[name].title for name in systems])
    for label, name in zip(axes.get_yticklabels(), systems):
        if name.startswith('mempool'):
            label.set_fontweight('bold')
    axes.set_xscale('log')
    least = min(figures.of(figure, name)[0] for name in systems)
    most = max(figures.of(figure, name)[-1] for name in systems)
    axes.set_xlim(least / 1.6, most * 4)
    axes.set_ylim(-0.7, len(systems) - 0.3)
    axes.xaxis.set_major_formatter(FuncFormatter(_time))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='x', color=GRID, zorder=0)
    axes.set_title(title)


def _dot_picture(figures, folder, name, panels):
    panels = [(figure, title) for figure, title in panels
              if any(figures.has(figure, system) for system in suite.SYSTEMS)]
    if not panels:
        return
    counts = [sum(figures.has(figure, system) for system in suite.SYSTEMS)
              for figure, _ in panels]
    picture, axes = plt.subplots(len(panels), 1, squeeze=False,
                                 figsize=(8, sum(counts) * 0.33 + len(panels) * 0.9),
                                 gridspec_kw={'height_ratios': counts})
    for place, (figure, title) in zip(axes[:, 0], panels):
        _dots(place, figures, figure, title)
    picture.tight_layout(h_pad=1.6)
    _save(picture, folder, name)


def _spread(places, least_gap):
    """Heights for labels, in the same order, that do not touch."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    result = list(places)
    for _ in range(200):
        for low, high in zip(order, order[1:]):
            overlap = least_gap - (result[high] - result[low])
            if overlap > 1e-9:
                result[low] -= overlap / 2
                result[high] += overlap / 2
    return result


def _lines(axes, figures, points, title, value_of=lambda ns: ns, formatter=_time):
    """points: [(tick label, figure)]; a line per system, named at its right end."""
    ends = []
    for name in suite.SYSTEMS:
        places = [i for i, (_, figure) in enumerate(points) if figures.has(figure, name)]
        medians = [value_of(figures.median(points[i][1], name)) for i in places]
        if name == 'limits' and medians:
            axes.axhline(medians[0], color=_colour(name), linestyle=':', linewidth=1.2)
            ends.append((name, medians[0]))
        if len(places) < 2:
            continue
        ours = name.startswith('mempool')
        axes.fill_between(places, [value_of(figures.of(points[i][1], name)[0]) for i in places],
                          [value_of(figures.of(points[i][1], name)[-1]) for i in places],
                          color=_colour(name), alpha=0.13, linewidth=0)
        axes.plot(places, medians, color=_colour(name), marker='o',
                  markersize=5 if ours else 3.5, linewidth=2.4 if ours else 1.4,
                  zorder=4 if ours else 3)
        ends.append((name, medians[-1]))
    axes.set_yscale('log')
    axes.set_xticks(range(len(points)), [label for label, _ in points])
    axes.set_xlim(-0.15, len(points) - 1 + 0.1)
    low, high = axes.get_ylim()
    if high < 50 * low:  # too few powers of ten to read it by
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(formatter))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis='y', colors=MUTED)
    axes.grid(axis='y', color=GRID, zorder=0)
    axes.set_title(title)
    axes.figure.canvas.draw()
    to_axes = axes.transAxes.inverted()
    heights = [to_axes.transform(axes.transData.transform((0, value)))[1]
               for _, value in ends]
    height_px = axes.get_window_extent().height
    for (name, value), height, place in zip(ends, heights,
                                            _spread(heights, 15 / height_px)):
        axes.annotate(suite.SYSTEMS[name].title, xy=(1, height), xycoords='axes fraction',
                      xytext=(1.06, place), textcoords='axes fraction', va='center',
                      fontsize=9, color=_colour(name),
                      fontweight='bold' if name.startswith('mempool') else 'normal',
                      arrowprops={'arrowstyle': '-', 'relpos': (0, 0.5),
                                  'color': _colour(name), 'linewidth': 0.6, 'shrinkA': 2,
                                  'shrinkB': 2})


def _line_picture(figures, folder, name, points, title, **more):
    if not any(figures.has(figure, system) for _, figure in points for system in suite.SYSTEMS):
        return
    picture, axes = plt.subplots(figsize=(7, 4.2))
    _lines(axes, figures, points, title, **more)
    _save(picture, folder, name)


def _rate(value, _=None):
    for unit, size in ('', 1), (' k', 1e3), (' M', 1e6):
        if value < 1000 * size or unit == ' M':
            return f'{value / size:.3g}{unit}/s'


def draw_all(figures, folder):
    _dot_picture(figures, folder, 'pool', [
        ('pair', 'Alloc and free of 128 bytes, one process'),
        ('batch', '1000 allocs, then 1000 frees: a pair of them'),
        ('contended', 'Alloc and free on both CPUs at once, out of one pool')])
    sizes = list(zip(['128 B', '4 KiB', '1 MiB'], suite.SIZES))
    _line_picture(figures, folder, 'throughput',
                  [(label, f'throughput-{size}-8') for label, size in sizes],
                  'Messages a second by their size, 8 bytes written',
                  value_of=lambda ns: 1e9 / ns, formatter=_rate)
    _line_picture(figures, folder, 'throughput-all',
                  [(label, f'throughput-{size}-all') for label, size in sizes],
                  'Messages a second by their size, all of it written and read',
                  value_of=lambda ns: 1e9 / ns, formatter=_rate)
    _line_picture(figures, folder, 'roundtrip',
                  [(label, f'roundtrip-{size}-8') for label, size in sizes],
                  'There and back by size, 8 bytes written, both sides look')
    _line_picture(figures, folder, 'blocking',
                  [(label, f'blocking-{size}') for label, size in sizes],
                  'There and back by size, 8 bytes written, both sides sleep')
    _line_picture(figures, folder, 'publish',
                  [(str(n), f'publish-{n}/deliver') for n in [1, 4, 16]],
                  'One message until all subscribers have it, by their number')
    _line_picture(figures, folder, 'growth',
                  [('1 thousand', 'chunks-1000'), ('1 million', 'chunks-1000000'),
                   ('10 million', 'chunks-10000000')],
                  'Alloc and free by the chunks of the pool')
    _dot_picture(figures, folder, 'full', [
        ('nearly-empty', 'Alloc when 1 of 100 000 chunks is free, freed by another'),
        ('exhausted/then', 'Alloc that fails: all of 1 million chunks are taken')])
    _dot_picture(figures, folder, 'broker', [
        ('start', 'Broker: start until ready'), ('attach/attach', 'Broker: attach a process')])
