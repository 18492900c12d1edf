"""Regular expressions of the user's: results as those of re, and an end to those that take forever."""
import re
import time

import pytest

from object_detection.utils import regex
from object_detection.utils.errors import UserError

TEXTS = ['model/_feature_extractor/bias', 'kernel', 'ä\udc80/ bias', '']


@pytest.mark.parametrize('pattern', ['.*bias', 'ker', 'bias', '(?!model).*s', '(k)(x)?', r'ä\W', '', '^$'])
def test_they_match_as_re_does(pattern):
    assert regex.matches(pattern, TEXTS, 'x') == [re.match(pattern, text) is not None for text in TEXTS]
    expected = [match and (match.groups() or match.group()) for match in (re.search(pattern, text) for text in TEXTS)]
    assert regex.search(pattern, TEXTS, 'x') == expected


@pytest.mark.parametrize('pattern', ['(a+)+b', '(a|a)*b', '(.*a){25}b'])
def test_those_that_take_forever_end(pattern, monkeypatch):
    monkeypatch.setattr(regex, 'SECONDS', .5)
    began = time.monotonic()
    with pytest.raises(UserError, match=r'^--x: .* is not done with 1 names after 0\.5 s\. A repetition inside a rep'):
        regex.matches(pattern, ['a' * 60], '--x')
    assert time.monotonic() - began < 5


@pytest.mark.parametrize('pattern', ['(', '*', '[z-a]', 'a{99999999999999999999}', '(' * 5000 + ')' * 5000])
def test_those_that_are_none_are_one_line(pattern):
    with pytest.raises(UserError) as error:
        regex.search(pattern, ['a'], 'train_config.freeze_variables')
    message = str(error.value)
    assert message.startswith('train_config.freeze_variables: ') and 'is not a regular expression' in message
    assert len(message) < 400
