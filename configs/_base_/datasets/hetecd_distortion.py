# Blur and colours of HeteCD's training, once on optical images only, which are
# blurred half of the time, and once as its authors have it.
# 0.3 of brightness, contrast and saturation; 0.3 of the circle of hues.
jitter = dict(
    type='MultiImgPhotoMetricDistortion',
    brightness_delta=38,
    contrast_range=(0.7, 1.3),
    saturation_range=(0.7, 1.3),
    hue_delta=54)
optical_distortion = [
    dict(type='MultiImgGaussianBlur', prob=0.5, sigma=(0., 1.)), jitter
]
both = ('optical', 'sar')
published_distortion = [
    dict(
        type='MultiImgGaussianBlur', prob=1., sigma=(0., 1.), sensors=both),
    dict(sensors=both, **jitter)
]
