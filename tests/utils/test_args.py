from pathlib import Path

import pytest

from object_detection.utils import args


@pytest.fixture
def parser():
    parser = args.Parser('A script.')
    args.add_switch(parser, 'alert', 'ring when done')
    args.add_switch(parser, 'eval_on_train_data', 'evaluate on training data too')
    parser.add_argument('--steps', type=args.positive_int, default=7)
    parser.add_argument('--maxperlabel', type=args.count)
    parser.add_argument('--split', type=args.fraction, default=0.8)
    return parser


@pytest.mark.parametrize(('given', 'alert'), [
    ('', False), ('--alert', True), ('--alert=true', True), ('--alert=True', True), ('--alert=1', True),
    ('--alert true', True), ('--alert=false', False), ('--alert=F', False), ('--noalert', False),
    ('--alert --noalert', False), ('--noalert --alert', True), ('--alert --steps 3', True),
])
def test_switches_work_like_absl_flags(parser, given, alert):
    assert parser.parse_args(given.split()).alert is alert


@pytest.mark.parametrize(('given', 'words'), [
    ('--alert=maybe', "argument --alert: 'maybe' is neither true nor false"),
    ('--noalert=true', '--noalert: takes no value'),
    ('--steps 0', "'0' is not a whole number of at least 1"),
    ('--steps 1.5', "'1.5' is not a whole number of at least 1"),
    ('--maxperlabel=-1', "'-1' is not a whole number of at least 0"),
    ('--split 1.1', "'1.1' is not a number from 0 to 1"),
    ('--split nan', "'nan' is not a number from 0 to 1"),
    ('--setps 3', 'unrecognized arguments: --setps 3; did you mean --steps instead of --setps?'),
    ('-setps=3', 'did you mean --steps instead of -setps?'),
    ('--eval-on-train-data', 'did you mean --eval_on_train_data instead of --eval-on-train-data?'),
    ('--eval_on_train', 'did you mean --eval_on_train_data instead of --eval_on_train?'),
    ('--steps 3 --noalret', 'did you mean --noalert instead of --noalret?'),
])
def test_mistakes_exit_with_code_2_and_advice(parser, given, words, capsys):
    with pytest.raises(SystemExit) as end:
        parser.parse_args(given.split())
    assert end.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(('given', 'says'), [
    ('--checkpoint_dir checkpoint_every', 'unrecognized arguments: --checkpoint_dir checkpoint_every\n'),
    ('--every x', 'did you mean --checkpoint_every_n instead of --every?\n'),
    ('--dir x', 'unrecognized arguments: --dir x\n'),  # of which two options speak
    ('--config x', 'required: --model_dir, --pipeline_config_path; did you mean --pipeline_config_path instead of '
                   '--config?\n'),
    ('--piepline_config_path x --modeldir y', 'required: --model_dir, --pipeline_config_path; did you mean '
     '--pipeline_config_path instead of --piepline_config_path?; did you mean --model_dir instead of --modeldir?\n'),
])
def test_options_are_suggested_only_where_it_is_clear(given, says, capsys):
    parser = args.Parser('A script.')
    parser.add_argument('--checkpoint_every_n')
    parser.add_argument('--eval_dir')
    parser.add_argument('--train_dir')
    args.add_absl_flags(parser)
    if 'required' in says:
        parser.add_argument('--model_dir', required=True)
        parser.add_argument('--pipeline_config_path', required=True)
    with pytest.raises(SystemExit):
        parser.parse_args(given.split())
    assert says in capsys.readouterr().err


@pytest.mark.parametrize('given', [
    '-steps 3', '-steps=3', '--steps=3 --alsologtostderr', '-logtostderr -steps 3', '-v=1 --steps 3', '--v 2 -steps=3',
    '--verbosity=-1 --steps 3', '--stderrthreshold=info --noshowprefixforinfo --log_dir=/tmp --steps 3'])
def test_old_command_lines(given):
    parser = args.Parser('A script.')
    parser.add_argument('--steps', type=args.positive_int)
    args.add_absl_flags(parser)
    assert parser.parse_args(given.split()).steps == 3
    assert 'stderrthreshold' not in parser.format_help()


def test_refused_flags(parser, capsys):
    args.add_refused(parser, {'train_dir': 'is not a flag of this script; here it is --model_dir'})
    for given in ('--train_dir=x', '-train_dir x', '--train_dir'):
        with pytest.raises(SystemExit) as end:
            parser.parse_args(given.split())
        assert end.value.code == 2
        assert '--train_dir: is not a flag of this script; here it is --model_dir' in capsys.readouterr().err


def test_a_switch_that_is_on_by_default(parser):
    args.add_switch(parser, 'summaries', 'write them', default=True)
    assert [parser.parse_args(given).summaries for given in ([], ['--nosummaries'], ['--summaries=false'])] == [
        True, False, False]


def test_paths(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('pipeline.config').touch()
    parser = args.Parser('A script.')
    args.add_pipeline_config(parser)
    args.add_model_dir(parser)
    options = parser.parse_args(['--pipeline_config_path', 'pipeline.config', '--model_dir', 'new'])
    assert (options.pipeline_config_path, options.model_dir) == (Path('pipeline.config'), Path('new'))
    for given, words in ((['--pipeline_config_path=pipeline.confg', '--model_dir=x'], 'did you mean pipeline.config?'),
                         (['--pipeline_config_path=pipeline.config', '--model_dir=pipeline.config'], 'is a file; give'),
                         (['--model_dir=x'], 'required: --pipeline_config_path')):
        with pytest.raises(SystemExit):
            parser.parse_args(given)
        assert words in capsys.readouterr().err


def test_help_keeps_its_layout_and_shows_defaults(capsys):
    parser = args.Parser('What it does.\n\n    python script.py\n')
    parser.add_argument('--size', default=3, help='in pixels')
    parser.add_argument('--names', nargs='+', default=['any', 1], help='of classes')
    parser.add_argument('--most', help='no limit without it')
    parser.print_help()
    said = capsys.readouterr().out
    assert 'What it does.\n\n    python script.py\n' in said
    assert 'in pixels (default: 3)' in said and 'of classes (default: any 1)' in said and 'None' not in said
