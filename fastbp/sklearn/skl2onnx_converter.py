"""The converter of the estimators that skl2onnx (sklearn-onnx) finds, alone or in a pipeline."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..files.exported import exported
from ..files.onnx_model import Graph


def set_types(operator: Any) -> None:
    """Sets the types and shapes of an operator's outputs: labels and probabilities, or values."""
    from skl2onnx.common import data_types as types

    model, given = operator.raw_operator, operator.inputs[0].type
    parts = exported(model)
    numbers = type(types.guess_tensor_type(given))
    rows, columns = given.shape[0], parts.sizes[-1]
    if is_classifier(model):
        label, probabilities = operator.outputs
        is_text = model.classes_.dtype.kind not in "biu"
        several = parts.task == "multilabel"
        kind = types.StringTensorType if is_text else types.Int64TensorType
        label.type = kind([rows, columns] if several else [rows])
        probabilities.type = numbers([rows, max(2, columns)])
    else:
        operator.outputs[0].type = numbers([rows, columns])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Adds the network of an estimator to the model that skl2onnx builds."""
    import onnx

    model = operator.raw_operator
    parts = exported(model)
    graph = Graph(onnx, parts, scope.get_unique_variable_name)
    tensor = graph.outputs(graph.cast(operator.inputs[0].full_name, parts.dtype))
    results = [tensor]
    if is_classifier(model):
        label, *_ = graph.labels(tensor)
        if parts.sizes[-1] == 1:
            second = tensor
            first = graph.add("Sub", graph.constant(np.ones(1, parts.dtype)), second)
            tensor = graph.add("Concat", first, second, axis=1)
        results = [label, tensor]
    declared = operator.outputs[-1].type.to_onnx_type().tensor_type.elem_type
    results[-1] = graph.add("Cast", results[-1], to=declared)
    for output, result in zip(operator.outputs, results, strict=True):
        graph.name(output.full_name, result)
    container.initializers.extend(graph.constants)
    for node in graph.nodes:
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        name = scope.get_unique_operator_name(node.op_type)
        container.add_node(node.op_type, [*node.input], [*node.output], name=name, **attributes)
