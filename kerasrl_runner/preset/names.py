"""Names that a preset may use, known without importing TensorFlow.

Taken from tf-keras 2.21; a test compares them with the installed one.
"""

from __future__ import annotations

# Layers with one input and one output, which is what a Sequential can hold.
KERAS_LAYERS = tuple(
    """
    Activation ActivityRegularization AlphaDropout AveragePooling1D AveragePooling2D
    AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional
    CategoryEncoding CenterCrop Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D
    Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Discretization Dropout ELU
    EinsumDense Embedding Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D
    GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization Identity LSTM
    LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPool1D
    MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Normalization PReLU Permute
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation
    RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN
    Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
    ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)

LEARNING_RATE_SCHEDULES = (
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
)

# What this project calls the network and those of its layers that no preset names.
MODEL_NAME = "q_network"
INPUT_NAME = "observation"
RESCALING_NAME = "rescaling"
Q_HEAD = "q_values"
# The class of parts/model.py, as Keras spells one that is registered.
DUELING_HEAD = "kerasrl_runner>DuelingHead"

# keras-rl's training model has layers of the first three names (rl/agents/dqn.py:243-245).
RESERVED_LAYER_NAMES = ("loss", "mask", "y_true", INPUT_NAME, RESCALING_NAME, Q_HEAD)

# Keys that keras-rl or gymnasium know and a preset refuses, with the reason and the way out.
REFUSED_KEYS = {
    "env.render_mode": "--visualize chooses how to render; leave it out",
    "agent.memory_interval": (
        "keras-rl then stores transitions that skip steps and cross episodes; every step is "
        "stored, leave it out"
    ),
    "agent.delta_range": "keras-rl deprecated it; use delta_clip",
    "agent.processor": "scale by [env] observation_scale and reward_scale, or wrap the environment",
    "fit.action_repetition": "frame skip is a wrapper's job: put it into the environment",
    "fit.nb_max_start_steps": "random starts are a wrapper's job: put them into the environment",
    "fit.start_step_policy": "random starts are a wrapper's job: put them into the environment",
    "fit.visualize": "use the option --visualize",
    "fit.callbacks": "call agent.fit yourself on what kerasrl_runner.build(preset) returns",
    "memory.ignore_episode_boundaries": "windows never cross episodes here; leave it out",
    "policy.SoftmaxPolicy": (
        "it takes probabilities, which a DQN does not have; use BoltzmannQPolicy"
    ),
}
