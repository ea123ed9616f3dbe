"""GOLD keeps the contract: light, pretrained encoders, student alone."""
from models.contract import DetectorContract, TeacherContract

SCRATCH = {
    'model.backbone.pretrained': False,
    'model.backbone_to.pretrained': False
}


class TestLight(TeacherContract):
    config = 'gold/gold_r18-light_4xb8-100k_hcd3s-512x512.py'


class TestEfficientNetLite(TeacherContract):
    """A teacher that sees all images, and one band of SAR."""

    config = 'gold/gold_efflite0_1xb8-1500_ombria-256x256.py'
    overrides = SCRATCH


class TestHRMNet(TeacherContract):
    """Heads with outputs of their own to supervise, and with the images."""

    config = 'gold/gold_hrmnet-efflite0_1xb8-1500_ombria-256x256.py'
    overrides = SCRATCH

    def with_bands(self, bands_from, bands_to):
        cfg = super().with_bands(bands_from, bands_to)
        cfg.model.decode_head.image_channels = (bands_from, bands_to)
        cfg.model.teacher_head.image_channels = bands_from
        return cfg


class TestStudentAlone(DetectorContract):
    config = 'gold/gold-student_efflite0_1xb8-1500_ombria-256x256.py'
    overrides = SCRATCH
