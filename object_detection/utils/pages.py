"""Templates of the HTML pages, which are one file each and need nothing else."""
from pathlib import Path
from typing import Any


def render(folder: Path, template: str, /, **values: Any) -> str:
    """Return the page that a template in `folder` makes of values; every value is escaped unless it is Markup.

    Templates begin with page_head.html, which has the title and the style that all pages share, and end its <style>.
    """
    import jinja2
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters['thousands'] = '{:,}'.format
    return environment.get_template(template).render(**values)
