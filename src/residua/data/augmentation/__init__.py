"""Augmentation: pictures changed at random, whole batches at once, each as its seed, epoch and sample say."""

from residua.data.augmentation.augmenting import augment as augment
from residua.data.augmentation.cropping import crop_box as crop_box
from residua.data.augmentation.cropping import crop_draws as crop_draws
from residua.data.augmentation.cropping import flips as flips
from residua.data.augmentation.cropping import random_box as random_box
from residua.data.augmentation.description import AUGMENTATIONS as AUGMENTATIONS
from residua.data.augmentation.description import Augmentation as Augmentation
from residua.data.augmentation.description import augmentation as augmentation
from residua.data.augmentation.mixing import mix as mix
