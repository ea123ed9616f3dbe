# Blur and colours of HeteCD's training: on optical images only, which are
# blurred half of the time, and as its authors have it, on both images always.
jitter = dict(
    type='MultiImgColorJitter',
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.3)
optical_distortion = [
    dict(type='MultiImgGaussianBlur', prob=0.5, sigma=(0., 1.)), jitter
]
both = ('optical', 'sar')
published_distortion = [
    dict(
        type='MultiImgGaussianBlur', prob=1., sigma=(0., 1.), sensors=both),
    dict(sensors=both, **jitter)
]
