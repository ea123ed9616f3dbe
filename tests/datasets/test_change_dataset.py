import os
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.runner import Runner

from opencd_gold.datasets import ChangeDataset, Draw, HCD3SDataset
from opencd_gold.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'
SENSORS = ('optical', 'sar', 'optical')
LOAD = [
    dict(type='MultiImgLoadImageFromFile', color_order='rgb'),
    dict(type='MultiImgLoadAnnotations')
]
AUGMENT = LOAD + [
    dict(type='MultiImgRandomRotate', prob=0.5, degree=180),
    dict(type='MultiImgRandomCrop', crop_size=8, cat_max_ratio=0.9),
    dict(type='MultiImgRandomRotFlip', rotate_prob=0., flip_prob=1.),
    dict(type='MultiImgPhotoMetricDistortion'),
    dict(type='GammaSpeckle', prob=1., domain='decibel', db_per_level=0.1),
    dict(type='MultiImgPackSegInputs')
]


def test_samples_hold_images_in_order_and_binary_labels(make_set, prefix):
    root = make_set()
    data = ChangeDataset(
        data_root=str(root), data_prefix=prefix(), sensors=SENSORS,
        pipeline=LOAD)
    assert len(data) == 3
    assert data.metainfo['classes'] == ('unchanged', 'changed')
    sample = data[1]
    assert [os.path.relpath(path, root) for path in sample['img_path']] == [
        'A/0001.png', 'B/0001.png', 'C/0001.png']
    assert sample['sensors'] == list(SENSORS)
    assert [image.shape for image in sample['img']] == [
        (16, 16, 3), (16, 16, 1), (16, 16, 3)]
    expected = np.zeros((16, 16), np.uint8)
    expected[:3, :4] = 1
    np.testing.assert_array_equal(sample['gt_seg_map'], expected)


def test_images_match_by_stem_whatever_the_suffix(make_set, prefix):
    root = make_set()
    for name in ('A/0000', 'A/0002', 'C/0001'):
        image = cv2.imread(str(root / f'{name}.png'))
        os.remove(root / f'{name}.png')
        cv2.imwrite(str(root / f'{name}.jpg'), image)
    os.rename(root / 'B/0001.png', root / 'B/0001.PNG')
    (root / 'A/.hidden.png').write_bytes(b'')
    (root / 'A/notes.txt').write_text('not an image')
    data = ChangeDataset(data_root=str(root), data_prefix=prefix(),
                         pipeline=LOAD)
    names = [[os.path.basename(path) for path in data[i]['img_path']]
             for i in range(len(data))]
    assert names == [['0000.jpg', '0000.png', '0000.png'],
                     ['0001.png', '0001.PNG', '0001.jpg'],
                     ['0002.jpg', '0002.png', '0002.png']]


def test_suffix_may_be_longer_than_the_extension(make_set, prefix):
    root = make_set()
    for folder, ending in (('A', '_before'), ('B', '_after')):
        for path in sorted((root / folder).iterdir()):
            path.rename(path.with_name(path.stem + ending + '.png'))
    data = ChangeDataset(
        data_root=str(root),
        data_prefix=prefix(guide=False),
        img_suffix=('_before.png', '_after.png'))
    assert len(data) == 3
    assert data.get_data_info(0)['img_path'][1].endswith('B/0000_after.png')


@pytest.mark.parametrize('text, stems', [
    ('0002\n0000\n', ['0002', '0000']),
    ('0001.png\n', ['0001']),
    ('0001.png\t0001.png\t0001.png\t0001.png\n', ['0001']),
    ('0000.png,0000.png,0000.png,0000.png\n\n'
     '0002.png, 0002.png, 0002.png, 0002.png\n', ['0000', '0002']),
    ('0001.png 0001.png 0001.png 0001.png\n', ['0001']),
])
def test_list_file(make_set, prefix, text, stems):
    root = make_set()
    (root / 'list.txt').write_text(text)
    data = ChangeDataset(
        ann_file='list.txt', data_root=str(root), data_prefix=prefix())
    infos = [data.get_data_info(i) for i in range(len(data))]
    found = [[os.path.basename(path)[:4]
              for path in (*info['img_path'], info['seg_map_path'])]
             for info in infos]
    assert found == [[stem] * 4 for stem in stems]


def test_indices_choose_before_the_check(make_set, prefix):
    root = make_set()
    cv2.imwrite(str(root / 'label/0002.png'), np.full((16, 16), 7, np.uint8))
    data = ChangeDataset(
        data_root=str(root), data_prefix=prefix(), indices=[1, 0])
    assert len(data) == 2
    assert data.get_data_info(0)['img_path'][0].endswith('0001.png')


def test_guide_may_be_absent_at_test_time_only(make_set, prefix):
    root = make_set()
    shutil.rmtree(root / 'C')
    data = ChangeDataset(
        data_root=str(root),
        data_prefix=prefix(),
        sensors=SENSORS,
        test_mode=True,
        pipeline=LOAD)
    assert len(data[0]['img']) == 2
    assert data[0]['sensors'] == ['optical', 'sar']
    with pytest.raises(ValueError, match="img_path_guide='.*C'"):
        ChangeDataset(data_root=str(root), data_prefix=prefix())


@pytest.mark.parametrize('change, ignore_255, values', [
    (1, False, [0, 1]), (255, False, [0, 1]), (255, True, [0, 255])])
def test_label_values_are_those_of_the_set(make_set, prefix, change,
                                           ignore_255, values):
    data = ChangeDataset(
        data_root=str(make_set(change=change)),
        data_prefix=prefix(),
        ignore_255=ignore_255,
        pipeline=LOAD)
    assert np.unique(data[0]['gt_seg_map']).tolist() == values


def test_threshold_accepts_labels_with_other_values(make_set, prefix):
    root = make_set()
    label = np.array([[0, 3], [127, 250]], np.uint8).repeat(8, 0).repeat(8, 1)
    cv2.imwrite(str(root / 'label/0000.png'), label)
    data = ChangeDataset(
        data_root=str(root),
        data_prefix=prefix(),
        label_threshold=128,
        pipeline=LOAD)
    np.testing.assert_array_equal(data[0]['gt_seg_map'], label == 250)


def test_names_of_classes_may_be_changed(make_set, prefix):
    metainfo = dict(classes=('dry', 'flooded'), palette=[[0] * 3, [9] * 3])
    data = ChangeDataset(
        data_root=str(make_set()), data_prefix=prefix(), metainfo=metainfo)
    assert data.metainfo['classes'] == ('dry', 'flooded')
    assert data.metainfo['palette'] == [[0] * 3, [9] * 3]


def test_lazy_set_opens_nothing(prefix):
    data = HCD3SDataset(
        data_root='nowhere', data_prefix=prefix(), lazy_init=True)
    assert data.sensors == SENSORS
    assert data.metainfo['classes'] == ('unchanged', 'changed')


def test_without_check_no_file_is_opened(make_set, prefix):
    root = make_set()
    (root / 'A/0001.png').write_bytes(b'no image')
    data = ChangeDataset(
        data_root=str(root), data_prefix=prefix(), check=False, pipeline=LOAD)
    np.testing.assert_array_equal(
        np.unique(data[0]['gt_seg_map']), [0, 1])
    with pytest.raises(ValueError, match='0001.png cannot be read'):
        data[1]


def test_cache_gives_the_same_samples_without_the_files(make_set, prefix):
    root = make_set()
    plain = ChangeDataset(data_root=str(root), data_prefix=prefix(),
                          sensors=SENSORS, pipeline=AUGMENT)
    cached = ChangeDataset(
        data_root=str(root),
        data_prefix=prefix(),
        sensors=SENSORS,
        pipeline=[step | dict(cache=True) for step in AUGMENT[:2]] +
        AUGMENT[2:])
    expected = [plain[Draw(i % 3, i)] for i in range(6)]
    for name in 'ABC':
        shutil.rmtree(root / name)
    for i, sample in enumerate(expected):
        found = cached[Draw(i % 3, i)]
        assert torch.equal(found['inputs'], sample['inputs'])
        assert torch.equal(found['data_samples'].gt_sem_seg.data,
                           sample['data_samples'].gt_sem_seg.data)


def test_draw_fixes_the_sample_and_leaves_global_state_alone(
        make_set, prefix):
    data = ChangeDataset(data_root=str(make_set()), data_prefix=prefix(),
                         sensors=SENSORS, pipeline=AUGMENT)
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    torch_before = torch.get_rng_state()
    first = data[Draw(1, 11)]
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.random.rand(5)
    again = data[Draw(1, 11)]
    other = data[Draw(1, 12)]
    assert torch.equal(first['inputs'], again['inputs'])
    assert not torch.equal(first['inputs'], other['inputs'])
    assert data[1]['inputs'].shape == (7, 8, 8)


def test_retries_are_reproducible_too(make_set, prefix):
    calls = []

    def refuse_some(results):
        calls.append(results['sample_idx'])
        return None if len(calls) % 4 else results

    data = ChangeDataset(data_root=str(make_set(5)), data_prefix=prefix(),
                         pipeline=[refuse_some])
    runs = []
    for _ in range(2):
        calls.clear()
        data[Draw(2, 99)]
        runs.append(list(calls))
    assert runs[0] == runs[1]
    assert len(runs[0]) == 4


def test_wrappers_keep_the_seed_of_a_draw(make_set, prefix):
    data = ChangeDataset(data_root=str(make_set()), data_prefix=prefix(),
                         sensors=SENSORS, pipeline=AUGMENT)
    expected = data[Draw(1, 5)]['inputs']
    both = ConcatDataset([data, data])
    assert torch.equal(both[Draw(4, 5)]['inputs'], expected)
    thrice = RepeatDataset(data, times=3)
    assert torch.equal(thrice[Draw(7, 5)]['inputs'], expected)


def _batches(root, prefix, workers, count, skip=0):
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=workers,
            sampler=dict(type='SeededInfiniteSampler', shuffle=True),
            dataset=dict(
                type='ChangeDataset',
                data_root=str(root),
                data_prefix=prefix(),
                sensors=SENSORS,
                pipeline=AUGMENT)),
        seed=7)
    loader.sampler.skip(skip * 2)
    batches = iter(loader)
    found = [next(batches) for _ in range(count)]
    return [torch.stack(batch['inputs']) for batch in found], [
        torch.stack([s.gt_sem_seg.data for s in batch['data_samples']])
        for batch in found
    ]


def test_batches_depend_neither_on_workers_nor_on_a_restart(
        make_set, prefix):
    root = make_set(5)
    images, labels = _batches(root, prefix, 0, 6)
    assert len({image.numpy().tobytes() for image in images}) == 6
    for workers, skip in ((1, 0), (2, 0), (0, 4), (2, 3)):
        found = _batches(root, prefix, workers, 6 - skip, skip)
        for i in range(6 - skip):
            assert torch.equal(found[0][i], images[skip + i])
            assert torch.equal(found[1][i], labels[skip + i])


def test_set_travels_to_another_process(make_set, prefix):
    data = ChangeDataset(data_root=str(make_set()), data_prefix=prefix(),
                         sensors=SENSORS, pipeline=AUGMENT)
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy[Draw(0, 1)]['inputs'], data[Draw(0, 1)]['inputs'])


def test_data_config_of_open_cd_runs_unchanged(make_set):
    root = make_set()
    for folder in ('train', 'val'):
        for source, target in ('AA', 'CB'):
            shutil.copytree(root / source, root / folder / target)
        shutil.copytree(root / 'label', root / folder / 'label')
    train_pipeline = [
        dict(type='MultiImgLoadImageFromFile'),
        dict(type='MultiImgLoadAnnotations'),
        dict(type='MultiImgRandomRotate', prob=0.5, degree=180),
        dict(type='MultiImgRandomCrop', crop_size=(8, 8), cat_max_ratio=0.75),
        dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
        dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
        dict(type='MultiImgExchangeTime', prob=0.5),
        dict(type='MultiImgPhotoMetricDistortion', brightness_delta=10,
             contrast_range=(0.8, 1.2), saturation_range=(0.8, 1.2),
             hue_delta=10),
        dict(type='MultiImgPackSegInputs')
    ]
    tta_pipeline = [
        dict(type='MultiImgLoadImageFromFile', backend_args=None),
        dict(
            type='TestTimeAug',
            transforms=[
                [
                    dict(type='MultiImgResize', scale_factor=r,
                         keep_ratio=True) for r in (0.75, 1.0, 1.25)
                ],
                [
                    dict(type='MultiImgRandomFlip', prob=0.,
                         direction='horizontal'),
                    dict(type='MultiImgRandomFlip', prob=1.,
                         direction='horizontal')
                ], [dict(type='MultiImgLoadAnnotations')],
                [dict(type='MultiImgPackSegInputs')]
            ])
    ]
    samples = {}
    for split, pipeline in (('train', train_pipeline), ('val', tta_pipeline)):
        data = DATASETS.build(
            dict(
                type='LEVIR_CD_Dataset',
                data_root=str(root),
                img_suffix='.png',
                seg_map_suffix='.png',
                format_seg_map='to_binary',
                data_prefix=dict(
                    seg_map_path=f'{split}/label',
                    img_path_from=f'{split}/A',
                    img_path_to=f'{split}/B'),
                pipeline=pipeline))
        samples[split] = data[0]
    assert samples['train']['inputs'].shape == (6, 8, 8)
    assert samples['train']['inputs'].dtype == torch.uint8
    shapes = [tuple(image.shape) for image in samples['val']['inputs']]
    assert shapes == [(6, 12, 12)] * 2 + [(6, 16, 16)] * 2 + [(6, 20, 20)] * 2
    for sample in samples['val']['data_samples']:
        assert sample.gt_sem_seg.data.shape == (1, 16, 16)
    # Blue, green, red, as Open-CD's data preprocessor expects.
    plain = cv2.imread(str(root / 'val/A/0000.png'))
    np.testing.assert_array_equal(samples['val']['inputs'][2][:3],
                                  plain.transpose(2, 0, 1))


@pytest.mark.parametrize('name, bands, label', [
    ('ombria_256x256', (3, 1, 3), 'label'),
    ('synthetic_256x256', (3, 1, 3), 'label'),
    ('hcd3s_512x512', (3, 3, 3), 'Label'),
])
def test_base_configs(tmp_path, name, bands, label):
    config = Config.fromfile(CONFIGS / f'{name}.py')
    size = int(name.split('x')[-1])
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for folder, count in zip('ABC', bands):
            (tmp_path / split / folder).mkdir(parents=True)
            cv2.imwrite(
                str(tmp_path / split / folder / 'x.png'),
                rng.integers(0, 256, (size, size, count), dtype=np.uint8))
        (tmp_path / split / label).mkdir()
        cv2.imwrite(
            str(tmp_path / split / label / 'x.png'),
            255 * rng.integers(0, 2, (size, size), dtype=np.uint8))
    crop = config.crop_size[0]
    for split, total, side in (('train', sum(bands), crop),
                               ('val', sum(bands), size),
                               ('test', sum(bands[:2]), size)):
        loader = config[f'{split}_dataloader']
        loader.dataset.data_root = str(tmp_path)
        loader.update(num_workers=0, persistent_workers=False)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        assert batch['inputs'][0].shape == (total, side, side)
        assert batch['inputs'][0].dtype == torch.uint8
        label_map = batch['data_samples'][0].gt_sem_seg.data
        assert label_map.shape == (1, side, side)
    tta = config.test_dataloader.dataset
    tta.pipeline = config.tta_pipeline
    sample = DATASETS.build(tta)[0]
    flips = [
        (s.flip, s.flip_direction) for s in sample['data_samples']]
    assert flips == [(False, None), (True, 'horizontal'), (True, 'vertical')]
    plain, mirrored, turned = sample['inputs']
    assert torch.equal(plain.flip(2), mirrored)
    assert torch.equal(plain.flip(1), turned)
    for data_sample in sample['data_samples'][1:]:
        assert torch.equal(data_sample.gt_sem_seg.data,
                           sample['data_samples'][0].gt_sem_seg.data)
