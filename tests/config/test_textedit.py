"""Corrected configs: comments and layout of the user's file stay, each change has its reason above it."""
from object_detection.config import pipeline, textedit, textproto
from object_detection.config.checks import Fix

TEXT = '''# mine
model {
  ssd {
    num_classes: 4  # cats
    anchor_generator { multiscale_anchor_generator { aspect_ratios: [1.0, 2.0] scales_per_octave: 2 } }
  }
}
train_config {
  batch_size: 8
  optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
      learning_rate_base: .8
      total_steps: 100 } } } }
}
'''
RATE = 'train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate'
ANCHORS = 'model.ssd.anchor_generator.multiscale_anchor_generator'


def test_a_value_is_replaced_below_its_old_value_and_the_reason():
    edited = textedit.corrected(TEXT, [Fix('train_config.batch_size', 6, 'three GPUs'),
                                       Fix(f'{RATE}.learning_rate_base', .05, 'by the\nbatch size')])
    assert edited == TEXT.replace('  batch_size: 8\n', '  # was 8; three GPUs\n  batch_size: 6\n').replace(
        '      learning_rate_base: .8\n', '      # was .8; by the batch size\n      learning_rate_base: 0.05\n')


def test_a_list_is_replaced_as_a_whole_in_either_way_of_writing_it():
    fix = Fix(f'{ANCHORS}.aspect_ratios', [1., .25, 3.], 'tall boxes')
    line = '    anchor_generator { multiscale_anchor_generator { aspect_ratios: [1, 0.25, 3] scales_per_octave: 2 } }\n'
    assert '    # was 1.0, 2.0; tall boxes\n' + line in textedit.corrected(TEXT, [fix])
    repeated = pipeline.to_text(pipeline.parse(TEXT))
    edited = textedit.corrected(repeated, [fix])
    ratios = pipeline.parse(edited).model.ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios
    assert list(ratios) == [1, .25, 3]
    assert '        # was 1.0, 2.0; tall boxes\n        aspect_ratios: 1 aspect_ratios: 0.25 aspect_ratios: 3\n' \
        in edited
    assert len(edited.splitlines()) == len(repeated.splitlines())  # a comment more, a line less


def test_fields_and_sections_that_are_missing_are_added():
    edited = textedit.corrected(TEXT, [Fix('train_config.num_steps', 500, 'ten epochs'),
                                       Fix('train_input_reader.max_number_of_boxes', 120, 'a crowd'),
                                       Fix(f'{RATE}.warmup_steps', 10, 'a tenth')])
    assert '      total_steps: 100\n          # added; a tenth\n          warmup_steps: 10\n' in edited
    assert '  # added; ten epochs\n  num_steps: 500\n}\n' in edited
    assert edited.endswith('train_input_reader {\n  # added; a crowd\n  max_number_of_boxes: 120\n}\n')
    config = pipeline.parse(edited)
    assert config.train_config.num_steps == 500 and config.train_input_reader.max_number_of_boxes == 120


def test_the_first_of_two_fixes_of_a_field_counts_and_the_text_may_be_one_line():
    edited = textedit.corrected('train_config { batch_size: 3 }', [
        Fix('train_config.batch_size', 4, 'first'), Fix('train_config.batch_size', 5, 'second')])
    assert edited == '# was 3; first\ntrain_config { batch_size: 4 }'


def test_every_entry_of_a_repeated_section_has_its_place():
    text = 'eval_input_reader { shuffle: true }\neval_input_reader {\n  label_map_path: "a"\n    "b" shuffle: false }\n'
    assert textedit.corrected(text, [Fix('eval_input_reader[1].label_map_path', 'c', 'moved')]) == text.replace(
        '  label_map_path: "a"\n    "b"', '  # was "a" "b"; moved\n  label_map_path: "c"')
    places = textproto.places(text)
    assert text[slice(*places['eval_input_reader', 0].inside)] == ' shuffle: true '
    assert places['eval_input_reader', 1, 'shuffle', 0].line == 4
