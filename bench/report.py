# SPDX-License-Identifier: MIT
"""report.py - tables of the figures that bench/run measured: medians, ranges, ratios, targets

Ratios are taken within a round, and only where the cache line took about as long beside both
figures, as it jumps when the host moves a CPU; then their median. A figure is "CASE" or
"CASE/NAME".
"""
import os
import re
import shutil
import statistics
from collections import defaultdict

import suite

# How far apart the line may be beside two figures that are compared.
LINE_FACTOR = 1.5

FIELDS = ['round', 'figure', 'system', 'value', 'unit', 'line_ns', 'load']


TO_NS = {'us': 1e3, 'ms': 1e6}


def rounds_of(path):
    """How many rounds each case has had."""
    rounds = defaultdict(int)
    if os.path.exists(path):
        for row in _rows(path):
            name = row['figure'].split('/')[0]
            rounds[name] = max(rounds[name], int(row['round']))
    return rounds


def _rows(path):
    with open(path, encoding='utf-8') as file:
        for line in file:
            fields = line.rstrip('\n').split('\t')
            if len(fields) == len(FIELDS) and fields != FIELDS:
                yield dict(zip(FIELDS, fields))


class Figures:
    """All of a folder: values by (figure, system), then by round."""

    def __init__(self, folder):
        self.values = defaultdict(dict)
        self.lines = defaultdict(dict)
        self.units = {}
        for row in _rows(os.path.join(folder, 'figures.tsv')):
            key = row['figure'], row['system']
            scale = TO_NS.get(row['unit'])
            self.values[key][int(row['round'])] = float(row['value']) * (scale or 1)
            self.units[row['figure']] = 'ns' if scale else row['unit']
            if float(row['line_ns']) > 0:
                self.lines[key][int(row['round'])] = float(row['line_ns'])
        self.n_rounds = max((len(values) for values in self.values.values()), default=0)

    def has(self, figure, system):
        return bool(self.values.get((figure, system)))

    def of(self, figure, system):
        return sorted(self.values.get((figure, system), {}).values())

    def median(self, figure, system):
        return statistics.median(self.of(figure, system))

    def alike(self, figure, system, other_figure, other_system):
        """The rounds that have both, with the line alike beside them."""
        these = self.values.get((figure, system), {})
        those = self.values.get((other_figure, other_system), {})
        lines = self.lines.get((figure, system), {})
        other_lines = self.lines.get((other_figure, other_system), {})

        def is_alike(number):
            if number not in lines or number not in other_lines:
                return True
            low, high = sorted([lines[number], other_lines[number]])
            return high <= LINE_FACTOR * low
        return [number for number in these if those.get(number) and is_alike(number)]

    def ratios(self, figure, system, other_figure, other_system):
        """Of the rounds that are alike; of all, if none is."""
        these = self.values.get((figure, system), {})
        those = self.values.get((other_figure, other_system), {})
        rounds = self.alike(figure, system, other_figure, other_system) or \
            [number for number in these if those.get(number)]
        return sorted(these[number] / those[number] for number in rounds)


def amount(value, unit):
    """Three digits or so, and a unit that suits."""
    if unit == 'ns':
        for unit, size in ('ns', 1), ('µs', 1e3), ('ms', 1e6), ('s', 1e9):
            if value < 1000 * size or unit == 's':
                value /= size
                break
    if unit == 'bytes a payload byte':
        text, unit = f'{value:.3f}', ''
    elif unit in ('chunks', 'clients', 'times'):
        text, unit = f'{value:,.0f}'.replace(',', ' '), ''
    elif value >= 100:
        text = f'{value:.0f}'
    else:
        text = f'{value:.1f}' if value >= 10 else f'{value:.2f}'
    return f'{text} {unit}'.rstrip()


def _cell(figures, figure, system):
    values = figures.of(figure, system)
    if not values:
        return '–'
    unit = figures.units[figure]
    text = f'**{amount(statistics.median(values), unit)}**'
    if len(values) > 1 and values[0] != values[-1]:
        text += f' ({amount(values[0], unit)} to {amount(values[-1], unit)})'
    if system not in ('mempool', 'limits', 'reap', 'answer', 'turns') and unit == 'ns':
        ratios = figures.ratios(figure, system, figure, 'mempool')
        if ratios:
            ratio = statistics.median(ratios)
            text += f' ×{ratio:.0f}' if ratio >= 100 else f' ×{ratio:.2f}' \
                if ratio >= 0.1 else f' ×{ratio:.1g}'
    return text


def table(figures, shape):
    """Rows of Markdown; systems without any figure are left out."""
    systems = [name for name in suite.SYSTEMS
               if shape.limits != ('without' if name == 'limits' else 'only')
               and any(figures.has(figure, name) for figure, _ in shape.columns)]
    if not systems:
        return []
    lines = ['| | ' + ' | '.join(title for _, title in shape.columns) + ' |',
             '|---|' + '---|' * len(shape.columns)]
    for name in systems:
        lines.append(f'| {suite.SYSTEMS[name].title} | ' + ' | '.join(
            _cell(figures, figure, name) for figure, _ in shape.columns) + ' |')
    return lines


def lines_table(figures):
    """The line's round trip beside what crosses CPUs: whether the rounds can be compared."""
    lines = ['| | line, there and back, beside it |', '|---|---|']
    for case in suite.CASES:
        seen = [value for (figure, _), values in figures.lines.items()
                if figure.split('/')[0] == case.name for value in values.values()]
        if seen and case.name != 'line':
            lines.append(f'| {case.name} | {amount(statistics.median(seen), "ns")} '
                         f'({amount(min(seen), "ns")} to {amount(max(seen), "ns")}) |')
    return lines


def _target_row(figures, target):
    at_least = target.rate
    if target.against and target.rate:
        values = figures.ratios(*target.against, target.figure, target.system)
    elif target.against:
        values = figures.ratios(target.figure, target.system, *target.against)
    else:
        values = figures.of(target.figure, target.system)

    def show(value):
        return f'{value:.2f}' if target.against else amount(value, target.unit)
    asked = f'{"at least" if at_least else "at most"} ' + \
        (f'{target.limit:g}' if target.against else amount(target.limit, target.unit))
    if not values:
        return f'| {target.what} | {asked} | not measured | – |'
    median = statistics.median(values)
    measured = f'**{show(median)}** ({show(values[0])} to {show(values[-1])})'
    if target.against:
        pair = [(target.figure, target.system), target.against]
        measured += ': ' + ' against '.join(
            amount(figures.median(*key), figures.units[key[0]]) for key in pair)
        if not figures.alike(target.figure, target.system, *target.against):
            measured += ' (but the line differed in every round)'
    reached = median >= target.limit if at_least else median <= target.limit
    return f'| {target.what} | {asked} | {measured} | ' + \
        ('reached |' if reached else '**not reached** |')


def targets_table(figures):
    return ['| target | asked for | measured | |', '|---|---|---|---|'] + \
        [_target_row(figures, target) for target in suite.TARGETS]


def parts(folder):
    """Every table by its name, as Markdown."""
    figures = Figures(folder)
    result = {shape.name: table(figures, shape) for shape in suite.TABLES}
    result['targets'] = targets_table(figures)
    result['lines'] = lines_table(figures)
    result['skipped'] = _skipped(folder)
    result['machine'] = _machine(folder) + [f'{figures.n_rounds} rounds.']
    return figures, result


def _skipped(folder):
    path = os.path.join(folder, 'skipped.tsv')
    if not os.path.exists(path):
        return []
    why = defaultdict(list)
    with open(path, encoding='utf-8') as file:
        for line in file:
            case, system, reason = line.rstrip('\n').split('\t')
            if case not in why[system, reason]:
                why[system, reason].append(case)
    return [f'- {suite.SYSTEMS[system].title}: {reason} ({", ".join(cases)})'
            for (system, reason), cases in why.items()]


def _machine(folder):
    path = os.path.join(folder, 'machine.md')
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def write(folder):
    """report.md and the plots."""
    figures, tables = parts(folder)
    with open(os.path.join(folder, 'report.md'), 'w', encoding='utf-8') as out:
        out.write('# Figures\n\n'
                  'Median (least to most), ×: times mempool in the same round.\n')
        for name, lines in tables.items():
            if lines:
                out.write(f'\n## {name}\n\n' + '\n'.join(lines) + '\n')
    try:
        import plots
    except ImportError as error:
        print(f'skipped: plots: {error} (Debian: python3-matplotlib)')
    else:
        plots.draw_all(figures, folder)
    print('\n'.join(line for line in tables['targets'] if 'not measured' not in line))
    print(f'{folder}/figures.tsv, {folder}/report.md')


def put_into_docs(folder, docs):
    """What stands between <!-- bench:NAME --> and <!-- end --> in performance.md; the plots."""
    _, tables = parts(folder)
    path = os.path.join(docs, 'performance.md')
    with open(path, encoding='utf-8') as file:
        text = file.read()

    def fill(match):
        name = match.group(1)
        lines = tables[name] or ['(not measured)']
        return f'<!-- bench:{name} -->\n' + '\n'.join(lines) + '\n<!-- end -->'
    text = re.sub(r'<!-- bench:([a-z]+) -->.*?<!-- end -->', fill, text, flags=re.S)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    target = os.path.join(docs, 'performance')
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(folder)):
        if name.endswith('.svg'):
            shutil.copy(os.path.join(folder, name), target)
