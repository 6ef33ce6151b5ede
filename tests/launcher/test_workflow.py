import pytest
from ip_adapter_nodes.launcher.errors import LauncherError
from ip_adapter_nodes.launcher.workflow import convert, substitute

INFO = {
    "Loader": {"input": {"required": {"name": [["a.safetensors", "b.safetensors"]]}}},
    "Picture": {
        "input": {
            "required": {"image": ["COMBO", {"options": ["x.png"], "image_upload": True}]},
            "optional": {"scale": ["FLOAT", {"default": 2.0}]},
        }
    },
    "Sampler": {
        "input": {
            "required": {
                "model": ["MODEL"],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "steps": ["INT", {"default": 20}],
                "cfg": ["FLOAT", {"default": 8.0, "forceInput": True}],
                "name": [["euler", "heun"], {}],
            },
            "optional": {"mask": ["MASK"], "flag": ["BOOLEAN", {"default": True}], "note": ["STRING", {}]},
            "hidden": {"prompt": "PROMPT"},
        }
    },
    "Patch": {"input": {"required": {"model": ["MODEL"], "weight": ["FLOAT", {"default": 1.0}]}}},
}


def node(number, kind, values=None, inputs=(), mode=0, outputs=("MODEL",)):
    sockets = [{"name": name, "type": socket, "link": link} for name, socket, link in inputs]
    return {
        "id": number,
        "type": kind,
        "mode": mode,
        "widgets_values": values,
        "inputs": sockets,
        "outputs": [{"type": output} for output in outputs],
    }


def sampler(link, values=(7, "randomize", 9, "heun", False, "hi"), number=9):
    return node(number, "Sampler", list(values), [("model", "MODEL", link)])


def inputs_of(graph, number=9):
    return graph[str(number)]["inputs"]


def test_widget_values_get_their_names_and_links_their_source():
    saved = {"nodes": [node(1, "Loader", ["b.safetensors"]), sampler(5)], "links": [[5, 1, 0, 9, 0, "MODEL"]]}
    graph = convert(saved, INFO)
    assert graph["1"]["inputs"] == {"name": "b.safetensors"}
    expected = {"model": ["1", 0], "seed": 7, "steps": 9, "name": "heun", "flag": False, "note": "hi"}
    assert inputs_of(graph) == expected
    assert graph["9"]["class_type"] == "Sampler"


def test_links_may_be_objects_and_values_may_be_named():
    link = {"id": 5, "origin_id": 1, "origin_slot": 0, "target_id": 9, "target_slot": 0, "type": "MODEL"}
    named = node(9, "Sampler", {"seed": 3, "name": "heun"}, [("model", "MODEL", 5)])
    graph = convert({"nodes": [node(1, "Loader", ["b"]), named], "links": [link]}, INFO)
    assert inputs_of(graph)["model"] == ["1", 0]
    assert (inputs_of(graph)["seed"], inputs_of(graph)["steps"], inputs_of(graph)["name"]) == (3, 20, "heun")


@pytest.mark.parametrize("values", [["y.png", "image", 3.0], ["y.png", 3.0]])
def test_the_upload_button_is_no_value(values):
    graph = convert({"nodes": [node(1, "Picture", values)], "links": []}, INFO)
    assert graph["1"]["inputs"] == {"image": "y.png", "scale": 3.0}


def test_values_that_were_not_saved_get_their_default():
    graph = convert({"nodes": [node(1, "Loader"), node(2, "Picture")], "links": []}, INFO)
    assert graph["1"]["inputs"] == {"name": "a.safetensors"}
    assert graph["2"]["inputs"] == {"image": "x.png", "scale": 2.0}


def test_a_widget_turned_into_an_input_keeps_its_place_in_the_values():
    primitive = node(2, "PrimitiveNode", [42, "fixed"], outputs=("INT",))
    target = node(9, "Sampler", [7, "fixed", 9, "heun"], [("steps", "INT", 6)])
    graph = convert({"nodes": [primitive, target], "links": [[6, 2, 0, 9, 0, "INT"]]}, INFO)
    assert (inputs_of(graph)["seed"], inputs_of(graph)["steps"], inputs_of(graph)["name"]) == (7, 42, "heun")
    assert "2" not in graph


def test_notes_reroutes_and_bypassed_nodes_vanish_and_the_wire_goes_through():
    saved = {
        "nodes": [
            *(node(1, "Loader", ["b"]), node(2, "Reroute", None, [("", "*", 5)])),
            node(3, "Patch", [0.5], [("weight", "FLOAT", None), ("model", "MODEL", 6)], mode=4),
            *(node(4, "Note", ["read me"]), sampler(7)),
        ],
        "links": [[5, 1, 0, 2, 0, "*"], [6, 2, 0, 3, 0, "MODEL"], [7, 3, 0, 9, 0, "MODEL"]],
    }
    graph = convert(saved, INFO)
    assert set(graph) == {"1", "9"}
    assert inputs_of(graph)["model"] == ["1", 0]


def test_a_muted_node_and_the_wire_from_it_vanish():
    saved = {"nodes": [node(1, "Loader", ["b"], mode=2), sampler(5)], "links": [[5, 1, 0, 9, 0, "MODEL"]]}
    graph = convert(saved, INFO)
    assert set(graph) == {"9"}
    assert "model" not in inputs_of(graph)


def test_a_list_as_a_value_is_not_taken_for_a_link():
    graph = convert({"nodes": [node(1, "Patch", [[1, 2]])], "links": []}, INFO)
    assert graph["1"]["inputs"] == {"weight": {"__value__": [1, 2]}}


def test_an_unknown_node_type_is_named():
    with pytest.raises(LauncherError, match="the server has no node of type Elsewhere"):
        convert({"nodes": [node(1, "Elsewhere")], "links": []}, INFO)


def test_an_api_export_is_told_apart():
    with pytest.raises(LauncherError, match="not its API export"):
        convert({"1": {"class_type": "Loader", "inputs": {}}}, INFO)


def test_substitution_replaces_values_and_never_links():
    graph = convert({"nodes": [node(1, "Loader", ["b"]), sampler(5)], "links": [[5, 1, 0, 9, 0, "MODEL"]]}, INFO)
    changes = {"Loader.name": "demo", "Sampler.model": "x", "Sampler.steps": {9: 4}, "Sampler.note": {"other": "no"}}
    changed = substitute(graph, changes)
    assert changed["1"]["inputs"]["name"] == "demo"
    assert (inputs_of(changed)["model"], inputs_of(changed)["steps"], inputs_of(changed)["note"]) == (["1", 0], 4, "hi")
    assert graph["1"]["inputs"]["name"] == "b", "the given graph stays as it was"


def test_substitution_by_title_is_stronger_than_by_type():
    saved = [{**node(1, "Loader", ["b"]), "title": "First"}, {**node(2, "Loader", ["b"]), "title": "Second"}]
    graph = convert({"nodes": saved, "links": []}, INFO)
    changed = substitute(graph, {"Second.name": "mine", "Loader.name": "demo"})
    assert [changed[key]["inputs"]["name"] for key in ("1", "2")] == ["demo", "mine"]
