"""The classes of COCO's detection task: ids 1 to 90, of which 80 are in use."""
import difflib

from object_detection.utils.errors import UserError

_TABLE = '''
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - stop_sign parking_meter bench
bird cat dog horse sheep cow elephant bear zebra giraffe - backpack umbrella - - handbag tie suitcase frisbee skis
snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle - wine_glass cup fork
knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed -
dining_table - - toilet - tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator - book
clock vase scissors teddy_bear hair_drier toothbrush'''
NAMES = {number: name.replace('_', ' ') for number, name in enumerate(_TABLE.split(), start=1) if name != '-'}


def wanted(classes, names):
    """The ids that `classes` (names or numbers as text, 'any') stand for; None for any. UserError for unknown ones.

    names: {id: name} of the detector.
    """
    if not classes or 'any' in classes:
        return None
    ids, findings = set(), []
    by_name = {name.casefold().replace('_', ' '): number for number, name in names.items()}
    for text in classes:
        known = by_name.get(text.strip().casefold().replace('_', ' '))
        if known is None and text.strip().isdecimal() and int(text) in names:
            known = int(text)
        if known is None:
            close = difflib.get_close_matches(text.casefold(), by_name, n=3)
            advice = f'did you mean {" or ".join(close)}?' if close else f'it has {", ".join(list(by_name)[:12])} ...'
            findings.append(f'--coco_class {text}: the detector has no such class; {advice}')
        ids.add(known)
    if findings:
        raise UserError(findings)
    return ids
