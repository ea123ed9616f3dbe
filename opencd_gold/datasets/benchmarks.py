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
    'OpticalPairDataset', 'LEVIR_CD_Dataset', 'S2Looking_Dataset',
    'SVCD_Dataset', 'WHU_CD_Dataset', 'CLCD_Dataset', 'DSIFN_Dataset',
    'RSIPAC_CD_Dataset'
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
    """SYSU-CD: ``{train,val,test}/{time1,time2,label}``, 256 x 256, PNG.

    Aerial images of Hong Kong, 0.5 m, 12000, 4000 and 4000 pairs; labels 0
    and 255. https://doi.org/10.1109/JSTARS.2021.3085430
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


@DATASETS.register_module()
class LEVIRCDDataset(ChangeDataset):
    """LEVIR-CD: ``{train,val,test}/{A,B,label}``, 1024 x 1024, PNG.

    Buildings in Texas, 0.5 m, 445, 64 and 128 pairs; labels 0 and 255.
    https://doi.org/10.3390/rs12101662
    """

    SENSORS = ('optical', 'optical')
    IMG_SUFFIX = '.png'
    SEG_MAP_SUFFIX = '.png'


@DATASETS.register_module()
class LEVIRCDPlusDataset(ChangeDataset):
    """LEVIR-CD+: ``{train,test}/{A,B,label}``, 1024 x 1024, PNG.

    Buildings in Texas, 0.5 m, 637 and 348 pairs; labels 0 and 255. There is
    no val. https://arxiv.org/abs/2107.09244
    """

    SENSORS = ('optical', 'optical')
    IMG_SUFFIX = '.png'
    SEG_MAP_SUFFIX = '.png'


@DATASETS.register_module()
class WHUCDDataset(ChangeDataset):
    """WHU building change detection, also BCDD: two scenes, cut to patches.

    Christchurch 2012 and 2016, aerial, 32507 x 15354 pixels, TIFF; patches in
    ``{train,val,test}/{A,B,label}``, any suffix.
    https://doi.org/10.1109/TGRS.2018.2858817
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module()
class CDDDataset(ChangeDataset):
    """CDD, also SVCD: ``{train,val,test}/{A,B,OUT}``, 256 x 256, JPEG.

    Google Earth, 10000, 3000 and 3000 pairs of ``Real/subset``. The labels
    are JPEG as well: ``label_threshold=128``.
    https://doi.org/10.5194/isprs-archives-XLII-2-565-2018
    """

    SENSORS = ('optical', 'optical')
    IMG_SUFFIX = '.jpg'
    SEG_MAP_SUFFIX = '.jpg'


@DATASETS.register_module()
class DSIFNDataset(ChangeDataset):
    """DSIFN: ``{train,val,test}/{t1,t2,mask}``, 512 x 512.

    Google Earth, six Chinese cities; any suffix: images are JPEG and masks
    are not, patches of ``tools/dataset_converters/crop_pairs.py`` are
    neither. https://doi.org/10.1016/j.isprsjprs.2020.06.003
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module()
class GoogleMapDataset(ChangeDataset):
    """GoogleMap, also GZ-CD: 19 scenes in ``T1``, ``T2``, ``labels_change``.

    Guangzhou, 0.55 m, 1006 x 1168 to 4936 x 5224 pixels, cut to patches and
    split; any suffix. https://doi.org/10.1109/TGRS.2020.3011913
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module()
class NJDSDataset(ChangeDataset):
    """NJDS: one scene of 2014 and 2018, TIFF, cut to patches.

    Buildings in Nanjing; patches in ``{train,val,test}/{t1,t2,label}``, any
    suffix. A set of SGSLN, https://arxiv.org/abs/2311.11302
    """

    SENSORS = ('optical', 'optical')


@DATASETS.register_module()
class S2LookingDataset(ChangeDataset):
    """S2Looking: ``{train,val,test}/{Image1,Image2,label}``, 1024 x 1024, PNG.

    Buildings from the side, 0.5 to 0.8 m, 3500, 500 and 1000 pairs; labels 0
    and 255. https://arxiv.org/abs/2107.09244
    """

    SENSORS = ('optical', 'optical')
    IMG_SUFFIX = '.png'
    SEG_MAP_SUFFIX = '.png'


@DATASETS.register_module()
class MCDDataset(ChangeDataset):
    """MCD, mining change: ``{train,val,test}/{A,B,label,list}``, PNG.

    Patches of 512 x 512; the release has a folder a scene (``im1.jpg``,
    ``im2.jpg``, ``ref.png``), which
    ``tools/dataset_converters/split_scenes.py`` splits and cuts, grey ones
    to three bands. Any value above 0 is change: ``label_threshold=1``.
    https://rodare.hzdr.de/record/3251
    """

    SENSORS = ('optical', 'optical')
    IMG_SUFFIX = '.png'
    SEG_MAP_SUFFIX = '.png'


@DATASETS.register_module()
class GVLMDataset(ChangeDataset):
    """GVLM, landslides: ``{train,val,test}/{A,B,label,list}``, any suffix.

    17 scenes, 0.6 m, cut to patches.
    https://doi.org/10.1016/j.isprsjprs.2023.01.018
    """

    SENSORS = ('optical', 'optical')
