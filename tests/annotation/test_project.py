"""Which pairs a data root has, and what it must not have."""
import pytest
from annotation.conftest import make_root

from opencd_gold.annotation.errors import AnnotationError, NotFound
from opencd_gold.annotation.project import Project, read_classes


def names(project):
    return [pair.name for pair in project.pairs]


def touch(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_triplets_of_which_one_lacks_the_third(tmp_path):
    root = touch(tmp_path, 'A/t10.png', 'A/t9.png', 'B/t10.tif', 'B/t9.tif',
                 'C/t9.png', 'label/t9.png')
    project = Project.open(root)
    assert names(project) == ['t9', 't10']
    assert [sorted(pair.images) for pair in project.pairs] == [
        ['A', 'B', 'C'], ['A', 'B']]
    assert project.document(project.pairs[0]) == (
        root.resolve() / 'annotations/t9.json')


def test_splits_of_t1_and_t2(tmp_path):
    root = touch(tmp_path, 'val/t1/a.png', 'val/t2/a.png', 'train/t1/a.png',
                 'train/t2/a.png', 'train/label/a.png',
                 'annotations/A/a.png', 'annotations/B/a.png', 'notes.txt')
    project = Project.open(root)
    assert names(project) == ['train/a', 'val/a']
    first = project.pairs[0]
    assert project.document(first).relative_to(root.resolve()).as_posix() == (
        'annotations/train/a.json')
    assert first.label == root / 'train/label/a'
    assert len({pair.id for pair in project.pairs}) == 2


def test_raw_scenes(tmp_path):
    root = touch(tmp_path, 'raw/x_A.tif', 'raw/x_B.tif', 'raw/x_D.tif',
                 'raw/y_A.tif', 'raw/y_B.tif', 'raw/y_E.png')
    project = Project.open(root / 'raw')
    assert {pair.name: ''.join(pair.images) for pair in project.pairs} == {
        'x': 'ABC', 'y': 'AB'}
    assert project.pairs[1].label == root / 'raw/y_E'


@pytest.mark.parametrize('line', ['{0} {1}', '{0}\t{1}\t{2}', '{0},{1}'])
def test_list(tmp_path, line):
    root = touch(tmp_path, 'x/a.tif', 'b.tif', 'c.tif')
    path = root / 'pairs.txt'
    path.write_text('# first second\n\n' + line.format(
        'x/a.tif', 'b.tif', 'c.tif') + '\n')
    project = Project.open(path)
    assert names(project) == ['a']
    assert len(project.pairs[0].images) == 3 if '{2}' in line else 2
    assert project.annotations == root.resolve() / 'annotations'


@pytest.mark.parametrize('text, error', [
    ('a.tif\n', 'pairs.txt:1 has 1 columns'),
    ('a.tif b.tif\na.tif gone.tif', 'pairs.txt:2: no image .*gone.tif'),
    ('a.tif b.tif\nx/a.tif b.tif\nx/a.tif b.tif', "second pair .*'x_a'"),
    ('# nothing\n', 'names no image')])
def test_wrong_list(tmp_path, text, error):
    touch(tmp_path, 'a.tif', 'x/a.tif', 'b.tif')
    path = tmp_path / 'pairs.txt'
    path.write_text(text)
    with pytest.raises(AnnotationError, match=error):
        Project.open(path)


@pytest.mark.parametrize('files, error', [
    ([], 'holds no pairs'),
    (['A/a.png', 'B/b.png'], 'files are missing'),
    (['A/a.png', 'A/a.tif', 'B/a.png'], 'share the stem'),
    (['A/a.txt', 'B/a.png'], 'holds no image'),
    (['x_A.tif', 'x_B.tif', 'y_A.tif'], 'scene y has no B .*[^t]$')])
def test_wrong_folder(tmp_path, files, error):
    (tmp_path / 'empty').mkdir()
    touch(tmp_path, *files)
    with pytest.raises(AnnotationError, match=error):
        Project.open(tmp_path)


def test_no_data_root(tmp_path):
    with pytest.raises(AnnotationError, match='no such folder or list'):
        Project.open(tmp_path / 'gone')
    with pytest.raises(AnnotationError, match='expected a folder, or a list'):
        Project.open(touch(tmp_path, 'a.tif') / 'a.tif')


def test_links_out_of_the_root(tmp_path):
    elsewhere = make_root(tmp_path / 'elsewhere', ['one'], ('A', 'B'))
    root = tmp_path / 'root'
    root.mkdir()
    for folder in 'AB':
        (root / folder).symlink_to(elsewhere / folder)
    with pytest.raises(AnnotationError, match='outside of .*--allow'):
        Project.open(root)
    assert names(Project.open(root, allowed=[elsewhere])) == ['one']
    path = root / 'pairs.txt'
    path.write_text('../elsewhere/A/one.tif ../elsewhere/B/one.tif')
    with pytest.raises(AnnotationError, match='outside of'):
        Project.open(path)


def test_unknown_pair(root):
    with pytest.raises(NotFound, match="no pair '../x'"):
        Project.open(root).pair('../x')


def test_classes():
    assert read_classes() == (('changed', '#d55e00'), )
    assert read_classes(['a:#ABCDEF', 'b']) == (('a', '#abcdef'),
                                                ('b', '#0072b2'))
    for wrong in (['a:red'], [':#000000'], ['a', 'a']):
        with pytest.raises(AnnotationError, match='class'):
            read_classes(wrong)
    with pytest.raises(AnnotationError, match='expected optical or sar'):
        Project.open('.', sensors=['radar'])
