"""Line charts for the HTML pages: matplotlib's SVG in the page's own font and colors. Imports no TensorFlow."""
import dataclasses
import io
import re
from collections.abc import Sequence

from markupsafe import Markup

from object_detection.runs.curves import Curve

WIDTH, HEIGHT = 5.2, 2.9  # inches of 72 pixels; the page scales charts to the width of their column
# Colors of matplotlib that stand for variables of the page's style, so that a chart follows light and dark.
_VARIABLES = {'#010101': '--text', '#010102': '--soft', '#010103': '--line',
              **{f'#0202{number:02x}': f'--line{number}' for number in range(10)}}
_PLACE = {variable: color for color, variable in _VARIABLES.items()}
_PLOT = {'svg.fonttype': 'none', 'font.family': 'DejaVu Sans', 'font.size': 10, 'axes.edgecolor': _PLACE['--soft'],
         'text.color': _PLACE['--text'], 'axes.labelcolor': _PLACE['--soft'], 'xtick.color': _PLACE['--soft'],
         'ytick.color': _PLACE['--soft'], 'grid.color': _PLACE['--line'], 'axes.spines.top': False,
         'axes.spines.right': False, 'axes.grid': True, 'axes.axisbelow': True, 'path.simplify_threshold': .5}


@dataclasses.dataclass
class Line:
    """One curve of a chart.

    Attributes:
        name: for the legend.
        points: (step, value).
        color: 0 to 9, one of the page's colors --line0 to --line9.
        dashed: draw a dashed line.
        dots: mark each point.
        ranges: {step: (low, high)}, drawn as a band.
        best: the step of the point to mark with its value.
    """

    name: str
    points: Curve
    color: int = 0
    dashed: bool = False
    dots: bool = False
    ranges: dict[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    best: int | None = None


def chart(lines: Sequence[Line], label: str, log_scale: bool = False) -> Markup:
    """Return an SVG of curves over the step, for the inside of a page.

    Args:
        label: what it shows, for those who cannot see it.
        log_scale: draw the values on a logarithmic scale.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter
    with matplotlib.rc_context({**_PLOT, 'svg.hashsalt': label}):
        figure = Figure((WIDTH, HEIGHT), layout='constrained')
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for line in lines:
            _draw(axes, line)
        if log_scale:
            axes.set_yscale('log')
        axes.set_xlabel('step')
        axes.xaxis.set_major_formatter(EngFormatter(sep=''))
        axes.margins(x=.02, y=.12)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=9, loc='best')
        stream = io.StringIO()
        figure.savefig(stream, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    return _for_page(stream.getvalue(), label)


def _draw(axes, line):
    color = _PLACE[f'--line{line.color}']
    if line.ranges:
        steps = sorted(line.ranges)
        axes.fill_between(steps, *zip(*(line.ranges[step] for step in steps)), color=color, alpha=.16, linewidth=0)
    steps, values = zip(*line.points) if line.points else ((), ())
    axes.plot(steps, values, label=line.name, color=color, linewidth=1.6, linestyle='--' if line.dashed else '-',
              marker='o' if line.dots or len(steps) == 1 else None, markersize=3.5)
    if line.best is not None:
        value = dict(line.points)[line.best]
        axes.plot([line.best], [value], marker='o', markersize=8, markerfacecolor='none', markeredgecolor=color)
        axes.annotate(f'{value:.4g}', (line.best, value), textcoords='offset points', xytext=(0, 9), ha='center',
                      fontsize=10, fontweight='bold')


def _for_page(svg: str, label: str) -> Markup:
    """Return the <svg> element alone, with variables for colors, the page's font, and an accessible name."""
    svg = svg[svg.index('<svg'):]
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f'var({variable})')
    svg = re.sub(r'<metadata>.*?</metadata>|<style.*?</style>', '', svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: '[^']*'; |(?<=<g) id=\"[^\"]*\"", '', svg)
    return Markup(re.sub(r'^<svg[^>]*?(viewBox="[^"]*")[^>]*>',
                         rf'<svg class="chart" role="img" aria-label="{Markup.escape(label)}" \1>', svg, count=1))
