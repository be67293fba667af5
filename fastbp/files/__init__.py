"""What is kept: the file format, its schema, and networks in other languages (ONNX, C)."""
