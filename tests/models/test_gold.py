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


class TestStudentAlone(DetectorContract):
    config = 'gold/gold-student_efflite0_1xb8-1500_ombria-256x256.py'
    overrides = SCRATCH
