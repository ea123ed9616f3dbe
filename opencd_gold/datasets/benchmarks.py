"""Public data sets: names, sensors, suffixes, metainfo."""
from opencd_gold.registry import DATASETS

from .change_dataset import ChangeDataset


@DATASETS.register_module()
class HCD3SDataset(ChangeDataset):
    """HCD-3S, the set of GOLD: ``<split>/{A,B,C,Label}``, 512 x 512.

    A optical before, B SAR after, C optical after (guide), label change.
    """

    SENSORS = ('optical', 'sar', 'optical')


@DATASETS.register_module()
class OmbriaDataset(ChangeDataset):
    """OMBRIA as triplets: ``<split>/{A,B,C,label}``, 256 x 256, floods.

    A Sentinel-2 before (B3, B8, B11), B Sentinel-1 after (VV, one band), C
    Sentinel-2 after (guide). https://doi.org/10.1109/JSTARS.2022.3155559
    """

    METAINFO = dict(
        classes=('unchanged', 'flooded'), palette=[[0, 0, 0], [255, 255, 255]])
    SENSORS = ('optical', 'sar', 'optical')


@DATASETS.register_module()
class SyntheticChangeDataset(ChangeDataset):
    """Triplets that the package makes itself: ``<split>/{A,B,C,label}``.

    Any suffix: SAR of two bands or in float32 is written as GeoTIFF. Triplets
    of one's own in the same folders are read by it as well.
    """

    SENSORS = ('optical', 'sar', 'optical')


@DATASETS.register_module(name=[
    'LEVIR_CD_Dataset', 'S2Looking_Dataset', 'SVCD_Dataset', 'WHU_CD_Dataset',
    'CLCD_Dataset', 'DSIFN_Dataset', 'RSIPAC_CD_Dataset'
])
class OpticalPairDataset(ChangeDataset):
    """Two optical dates and a binary label, any suffix.

    Registered under the names that Open-CD gives such sets, so that their
    data configs run here.
    """


@DATASETS.register_module(name=['JL1CDDataset', 'JL1_CD_Dataset'])
class JL1CDDataset(ChangeDataset):
    """JL1-CD, the set of MTKD: ``{train,test}/{A,B,label}``, 512 x 512, PNG.

    Two dates of Jilin-1, 0.5 to 0.75 m, 4000 and 1000 pairs; labels 0 and
    255. https://arxiv.org/abs/2502.13407
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module(name=['SYSUCDDataset', 'SYSU_CD_Dataset'])
class SYSUCDDataset(ChangeDataset):
    """SYSU-CD: ``{train,val,test}/{A,B,label}``, 256 x 256, PNG.

    Aerial images of Hong Kong, 0.5 m, 12000, 4000 and 4000 pairs; labels 0
    and 255. The release names the folders time1, time2 and label.
    https://doi.org/10.1109/JSTARS.2021.3085430
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module()
class XiongAnDataset(ChangeDataset):
    """XiongAn, the set of HeteCD: ``{train,val,test}/{A,B,label}``, 512 x 512.

    A optical before, B SAR after, three bands each. Labels are 0 and 255, any
    other value is an error; the authors read it as unchanged.
    https://doi.org/10.1016/j.isprsjprs.2025.03.008
    """

    SENSORS = ('optical', 'sar')
