"""The tuned router without torch: graphs for ONNX Runtime, built once from the packaged weights."""
