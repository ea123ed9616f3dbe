# HRMNet's network as student and as teacher, which sees the optical pair; each
# head supervises its masks and its hard region.
_base_ = [
    '../hrmnet/hrmnet_efflite0_1xb8-1500_ombria-256x256.py',
    '../_base_/models/gold_logits.py'
]
model = dict(
    type='TripleBranchDetector',
    teacher_inputs='from+guide',
    teacher_head={
        **_base_.model.decode_head, 'image_channels': 3
    },
    test_cfg=dict(evaluate_teacher=True),
    **_base_.teaching)
