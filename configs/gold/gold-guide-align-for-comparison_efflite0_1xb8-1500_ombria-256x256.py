# GOLD with SAR features that predict the guide's beside the logits: row
# "+ alignment" of docs/benchmarks.md. It led on val, not on test.
_base_ = './gold_efflite0_1xb8-1500_ombria-256x256.py'
model = dict(
    detach_to=True,
    teacher_interaction=True,
    distill_losses=[
        *_base_.model.distill_losses,
        dict(type='GuideAlignLoss', channels=64),
    ],
    loss_weighting=dict(
        groups=dict(cd=dict(teacher=0.4), distill=dict(guide=2.0))))
