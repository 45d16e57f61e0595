"""What lies on disk: atomic writes, shipped data, run directories, weights files. No TensorFlow."""
