"""The tuned router without torch: graphs of our own for ONNX Runtime, built once from packaged weights."""
