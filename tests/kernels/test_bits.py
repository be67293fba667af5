"""The same bits on every CPU and in every release."""

import hashlib
import math
import platform
import re
from itertools import pairwise

import llvmlite.binding as llvm
import numpy as np
import pytest

from experiments import DTYPES, MIXED, Case, Experiment, in_new_process, train, trained
from fastbp.options import activations, costs
from fastbp.options.costs import COSTS, columns_of, name_and_parameter
from fastbp.options.optimizers import OPTIMIZERS
from reproduce import bits as bits_table


def digest(*arrays):
    """SHA-256 of the numbers, little-endian."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return hashed.hexdigest()


def fingerprints(most=math.inf):
    """{case and dtype: hash of weights, biases and cost}, for cases of at most so many products."""
    found = {}
    for case in MIXED:
        if case.n * sum(k * j for k, j in pairwise(case.sizes)) > most:
            continue
        for dtype in DTYPES:
            engine = trained(case, dtype, rate=0.05)
            weights, biases = engine.unpack()
            found[f"{case}, {dtype}"] = digest(*weights, *biases, np.float64([engine.cost]))
    for name, (case, *_) in GOLDEN_CASES.items():
        if case.n * sum(k * j for k, j in pairwise(case.sizes)) <= most:
            found |= {f"{name}, {dtype}": golden_run(name, dtype, 1) for dtype in GOLDEN}
    return found


def runs_here(features):
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    available = llvm.get_host_cpu_features()
    return all(available.get(feature) for feature in features)


@pytest.mark.survives("another CPU")
@pytest.mark.parametrize(
    ("cpu", "needs", "most"),
    [("haswell", ["avx2", "fma"], 10**9), ("x86-64", [], 10**6)],  # slow, without an instruction for FMA
    ids=["haswell", "x86-64"],
)
def test_other_cpus_give_the_same_bits(cpu, needs, most, request):
    if not request.config.getoption("--full"):
        pytest.skip("compiles all kernels: run with --full")
    if not runs_here(needs):
        pytest.skip(f"this machine does not run code for {cpu}")
    target = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    there = in_new_process(f"test_bits.fingerprints({most})", **target)
    assert len(there) > 100
    assert there == fingerprints(most)


def dyadic(shape, seed, dtype):
    """Numbers between -1 and 1 from integers alone: exact, and the same everywhere."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return (((places * 2654435761 + seed * 40503) % 4096 - 2048) / 2048).astype(dtype)


SIZES = (19, 33, 16, 5)
EVERYTHING = {
    "optimizer": OPTIMIZERS["adamw"],
    "cost": "cross_entropy",
    "dropout": (0.2, 0.3),
    "clip_norm": 0.4,
    "l2": 0.01,
    "l1": 0.001,
}
GOLDEN_CASES = {  # name -> case, rate, recipe
    "sigmoid": (Case(SIZES, 13, 60, ("sigmoid",) * 3), 0.25, {}),
    "tanh": (Case(SIZES, 13, 60, ("tanh", "tanh", "sigmoid")), 0.25, {}),
    "relu": (Case(SIZES, 13, 60, ("relu", "relu", "linear")), 0.25, {}),
    "linear": (Case(SIZES, 13, 60, ("linear", "linear", "sigmoid")), 0.25, {}),
    "large": (Case((150, 70, 10), 300, 330, ("tanh", "sigmoid")), 0.25, {}),
    **{
        name: (Case(SIZES, 13, 60, (name, name, "sigmoid")), 0.1, {})
        for name in ("leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus", "exponential")
    },
    **{
        f"{cost}, {output}": (Case(SIZES, 13, 60, ("tanh", "tanh", output)), 0.1, {"cost": cost})
        for cost, output in (
            ("cross_entropy", "sigmoid"),
            ("cross_entropy", "softmax"),
            ("quadratic", "softmax"),
            ("huber", "linear"),
            ("absolute", "linear"),
            ("log_cosh", "linear"),
            ("quantile", "linear"),
            ("poisson", "exponential"),
            ("poisson", "softplus"),
            ("hinge", "linear"),
            ("squared_hinge", "linear"),
        )
    },
    **{
        f"{name}, {output}": (Case(SIZES, 13, 60, ("tanh", "tanh", output)), 0.1, {"cost": cost})
        for name, cost in (("focal", costs.Focal(1.5)), ("smoothed labels", costs.CrossEntropy(0.1)))
        for output in ("sigmoid", "softmax")
    },
    "gaussian, linear": (
        Case((19, 33, 16, 6), 13, 60, ("tanh", "tanh", "linear")),
        0.01,
        {"cost": "gaussian"},
    ),
    **{
        name: (Case(SIZES, 13, 60, ("tanh", "relu", "sigmoid")), 0.01, {"optimizer": optimizer})
        for name, optimizer in OPTIMIZERS.items()
        if name != "sgd"
    },
    "everything": (Case(SIZES, 13, 60, ("gelu", "relu", "softmax")), 0.01, EVERYTHING),
    "everything, in blocks": (Case(SIZES, 1100, 2300, ("gelu", "relu", "softmax")), 0.01, EVERYTHING),
}


def golden_run(name, dtype, members):
    case, rate, recipe = GOLDEN_CASES[name]
    if dtype == "bfloat16":
        dtype, recipe = "float32", {**recipe, "compute_dtype": dtype}
    layers = list(enumerate(pairwise(case.sizes)))
    weights = [dyadic((j, k), seed, dtype) / 4 for seed, (k, j) in layers]
    biases = [dyadic((j, 1), seed + 10, dtype) for seed, (_, j) in layers]
    k, j = case.sizes[0], case.sizes[-1]
    X = (np.arange(case.n * k, dtype=np.int64) * 97 % 256).astype(np.uint8).reshape(case.n, k)
    orders = [(np.arange(case.n) * 7 + epoch) % case.n for epoch in range(4)]
    targets = np.arange(case.n) % j
    if (columns := columns_of(recipe.get("cost", "quadratic"), j)) < j:
        targets = dyadic((case.n, columns), 20, dtype)
    run = Experiment(weights, biases, X, targets, orders)
    engine = run.engine(case, members, **recipe)
    costs = train(engine, run.data, orders, rate)
    weights, biases = engine.unpack()
    return digest(*weights, *biases, engine.outputs(X), np.float64(costs))


# Hold on every machine and for every release. A change of these bits breaks the promise that a seed, data and
# a version give the same bits on any CPU; where it is meant, it is a new version and goes to the changelog.
GOLDEN = {
    "float32": {
        "sigmoid": "a758fcdd598a453add6a93d1f10f2f72168e2aa10c1e00bec04b06014c3f6fc6",
        "tanh": "b232eeebb5c4799a96627acd27333c2a409b0b849f391b8a0c4b07b265452ece",
        "relu": "86ec1240abfe0cbdd56942b067484d1c04e80f26deb6d12f4eead39fb80da82b",
        "linear": "04d671282fe56c1e152502b770cfeeb2ea53be924a666492e476a6534b3830eb",
        "large": "d24c14affad870a29db303a7542234a4bcd92ad29ad4d686ce802cef37170d31",
        "leaky_relu": "0b9745b9c0441471e5f64fb6dddce01dbbc8e2e21657cc556080c2183fe59b1d",
        "elu": "e369e760b7b10e615319bfee8fc9f632512a5a2578ac8f264dec146d612b1386",
        "gelu": "6daae89aba8aed18c1b476c8832217ffd50ee8805c779210d72b7cd346104b70",
        "gelu_tanh": "d42b25f79056270462d2b17af9d05c40b43205d44dd8927f8d831a1b6d1dc260",
        "silu": "96a7484c7ddcf9dc7aed9f3432848d9e67ea6ef0579e858d7b5237fc4437b72a",
        "softplus": "a51740b3f6e0deb30c033f9bb32d8aa8cf8c442363e40c3cebb42392968cf0c1",
        "exponential": "1e807754af28b4d510b617e523a21637f7604ea480d5a0e38fcbd5265a2b0654",
        "cross_entropy, sigmoid": "0c20efe65d6e27f6598e2bef2e9f7e5db2274111fcbe9524b363b7153f71e35c",
        "cross_entropy, softmax": "de0a1182ae6a0ad7990e3cebc868b7f5601da12a341ae9e90da987be26eb14f5",
        "quadratic, softmax": "81ed89ea156339ffa769181d0982545eac9f182aa1dc16caefd7e2012be49e57",
        "huber, linear": "52854478ad3606c8d62c361d654284a8acf09d64954e1707ab1d6049369190b0",
        "absolute, linear": "aacaec671c683726d4a31c1066f3cbc3559bbe537e8d269d5057bc235b4e7642",
        "log_cosh, linear": "a2956304a057818155782df4a2e7bd7f14570aa82bf2f5d2cc73c65932a99563",
        "quantile, linear": "e6e40c00687d8d66afc1aca8ed4dfc5aa58c89655595c9d933e7466e1380610d",
        "poisson, exponential": "313807f758dc726af59e1c288e6269aa85b5c8d20bc28f255af57200b35dedf4",
        "poisson, softplus": "a35f105eb445196e48c096d4a0dea6fe5240d129a0c770d0c07db05cde335ae9",
        "hinge, linear": "1659662429ae16a01433b892e8fa7d3871f33ec641cbf373dc99547961dbe9ba",
        "squared_hinge, linear": "fbbd5dc409160539372b85d3ba63752736760f5fbba19e8efc26720e1b686623",
        "focal, sigmoid": "ceabd4b6b688015ad67e699ab320cfea91f45f6cf44afffb878f480a7be568e3",
        "focal, softmax": "09583b69e21d4f78a018f93047d50bcae633290e45d3ad0f3745417c7455b464",
        "smoothed labels, sigmoid": "2fccff638f599273e90be1d43e42099dfcc39af90437424461eb001bc623257e",
        "smoothed labels, softmax": "e50676185bec8457b3738057b1976e6bfe9ca05c6d68f31826c816d6d727fc3a",
        "gaussian, linear": "a2d6287e5976708199bbd0fa5671ffe08caf732cf4a2b4c6a999aa81f17f4b70",
        "momentum": "bded6bb2e9db2ad4f0b85d7d1f892694fef77e1625bd4875cf8a295c395ffc72",
        "nesterov": "387d18e1e9b9a283e858c7f004b71e3b9689640ea96e043380c958d1ffb81a07",
        "rmsprop": "8abc6d0fc3b96e8cddc32c3e7fc075c476e98c42870c5a96789ee2a99e96fae8",
        "adam": "d6671e97a244d2249544ce6a55590bf65d80b44d8af10a91a1ce50d8414f1919",
        "adamw": "dc0fdfc4b4653056a2453fe7b5aa98945e11cea6466a612a2d9d59367afa6048",
        "irprop": "f8cd39a676cdd80ddb97bf3dcc9caa25d512c1841f43bb7c719473ec72e9cef7",
        "everything": "699942139db90f4fa3baf82f4ad901c041d522da5e4a923fd71f698d7e2c13f8",
        "everything, in blocks": "00b3da7831cd5958aa7047c474c70314387e34d5fe6eba42d27f2b2aa1526c5c",
    },
    "float64": {
        "sigmoid": "f3f69419724f731eb152348151ac0a8f7f0b81479e7dcba9354d9a31919a33e8",
        "tanh": "9bf8a51d0098f1f4efbee4591f8cb490261814fe041ed29a6423a58f9b4d4282",
        "relu": "2fb58fb488252674a4618061b3386ddbd3d34a0bc10d3f34156cc9c28e9ad106",
        "linear": "dcadbaa4071b173043c1bcb5c1907327a73819ab8284276c0f14607f59798d8f",
        "large": "992d75ed050d2e929c512093232cc67fc921a5379be960413e2e09ba0fbaa6d4",
        "leaky_relu": "92748ad014de93961377e3ad068fae14f2751917bcacf29abad34597e82bf2bb",
        "elu": "0d862fbed828328eece00ac29192386cea4fb7e08493dcf685857179c8550b4d",
        "gelu": "45cad76b1553a0463223afadce8daf458a2408c701f68254bb19bca39b281367",
        "gelu_tanh": "ce19da9ec0800c8723144ec7088ab1e7bbe93b9174b8d2f2999cceabf39be353",
        "silu": "a835b8102045ebcbb1a42362d8bb9c9943e0eaac2ecb5f6dbc001c806b981fa4",
        "softplus": "e026e0a0a858848b0240bbf14ee7e4f8944db8aaa706730b624d030aea82e9ca",
        "exponential": "fd7a470769ac4ceb080700ccb597d1e8eeaa0583dbae282cb96793a476a6111b",
        "cross_entropy, sigmoid": "c083af579c216d7c7c06aa99144c9fbada9603c86c4b9843c0da3b08c1285434",
        "cross_entropy, softmax": "c3fd44d0d996b804efea2a1c4358433575ef5fb3c477c70e667f614121bb4970",
        "quadratic, softmax": "487ca62877bc772541f009db466ff89981bd89fcf85182b1e72001a81cff44ea",
        "huber, linear": "1c9b85dcf1dc81461d69a935f6f67287e307bcaeb2931a9ca32d5908083733d6",
        "absolute, linear": "cb4f571fa8d9012ef9dd63df8625184f1222f98deb5209d3361f8822e11f72ac",
        "log_cosh, linear": "c28f8a64a6dbb663d7f108633e05290cc75f0385bcf98c90dafd0c892c87d1d7",
        "quantile, linear": "86ca8572a0f4eed0687f55158e6df6f7019bb5b25b6cc127a863575d19c148d1",
        "poisson, exponential": "6113690ba552f4677775baf50c01d158834c24e7e9f9c1a0593c5f25bec24cce",
        "poisson, softplus": "dde50e2e9c85287e634b38c71492c9abb20f089dbc2c1357a4ed944e3b4d5fc2",
        "hinge, linear": "89eabf99ab5c84ad1cbd6b2ccec8ec957c50b3a54f6be95f01c23e1d36704776",
        "squared_hinge, linear": "9df7fb48673984f9f1bf841fc3ea44713ad569acc85a7caf402630fc2a411ffa",
        "focal, sigmoid": "46a9929ed659c1d2905eadc614cbc0660b4a2828c6db82de7996859a15dfd0aa",
        "focal, softmax": "73977e37a55477e1d1f4622ea811b367aa350e801db76520535579ba5807d083",
        "smoothed labels, sigmoid": "eaabc3d853ed569ea6970ff10979a6053c14be4ca30a577666099beb576b6e11",
        "smoothed labels, softmax": "670ec8427a1a490b4f7d1b543de4695dafd10f73e1658033544c265ae7bf39d0",
        "gaussian, linear": "e52c962ae19ec6578c007b95a17d9ab5cf05aa859b091fe49289ae332f0dd4f9",
        "momentum": "71994bb704ab8055ece349bd9649c23fe9ef669a8e847d680e3f2e58f26d4e47",
        "nesterov": "804f42fded48d9f3f831614b455fa60cbdb03ff04624f83520e8058c5ee185db",
        "rmsprop": "11eb9b3ada3a88b15a6d52d3fd06211ffe7796eb498e3eb2df39ea67d7d2c6d8",
        "adam": "b320cf7b64b051c4096b3e72ee32986a08bc2b202dc6a7fe166658d8b8d12bed",
        "adamw": "1af28c5326f51ef645cb9b035157c46b1f22a91ec8cbef83f1ff23c43cd29bbe",
        "irprop": "a2776e80aa0fa9325ca51de754ab8c150437c5772f5641c09a1fa866e57707ef",
        "everything": "1330277bb398c41dc787b4441c6f249d75c656772c2ab5df85e7cc909b973bc6",
        "everything, in blocks": "4d06f74b176c401e674bba95fc58a43fd5ddd0b03065e8a89b969f898e55363c",
    },
    "bfloat16": {  # products of it, by weights in float32
        "sigmoid": "ad7ab064e942c04af27fa7878a5387c4f0b42ed0a12f8385d00f98c2b1d1f54f",
        "tanh": "1f8edb6280f1454e50561ed45b79180e9c636b648e5a46b73eb0d8b2ff4f5d64",
        "relu": "3844e13a10b5b1df7fe79db64737d275873eda471c55e03ff79ef585d454c698",
        "linear": "d530915da4001c36fbe738ca03156ef8fd9929bc7569087d665838c8bb79cda3",
        "large": "5274f307d137e03446cc7afc82bd4d52c0f38ab62b72318a99ee175a1840f168",
        "leaky_relu": "c72ad0a1ff9af7bf96ff39a67a296bf84ba64445cb80724e3a71af88ae342e81",
        "elu": "44891c74f223dd54d6589a68548e3d014539de7f86906329a65a484d5e5839ff",
        "gelu": "5df27c89d811dcecb79750e76e273c6d465af4d4ea78b10715d51166cf0fd087",
        "gelu_tanh": "e831f84f685bb4e2d543b1c62f977594835234725076483dca6743cb699b13b3",
        "silu": "d20c5dfdfe9c0a54e61fca89a60cbdcc8a62b3e4431f0fc70490680c0e10855d",
        "softplus": "316306baac2be6801a93819872573a05d82d1a90c993325a893637ec2c37b863",
        "exponential": "f71851865fb104880c2f06d146fa723e73301208960a844c5d8bbc0c2ca02340",
        "cross_entropy, sigmoid": "fcd7af813e5c4a32a8000d58cd3f425a4cf6e05a70993df26cda4b674c543138",
        "cross_entropy, softmax": "dc314d565a7e1912477935bcc284a83469ba3ba6cf3c39603ceed9a79b205949",
        "quadratic, softmax": "5482f0a4981e4eff0966230497665d4c2a964ecd84a5a123d4596d23a404a0b0",
        "huber, linear": "f387ce1a0f3e86b5a51afbec3ec05d4e1a2d5baff36525ca4f26b5b1aa9158cb",
        "absolute, linear": "486de65f66ef84da66247d8b26b35f43c0b73650ddce46055990f03486ced6fb",
        "log_cosh, linear": "422900dcb8b3b4febd583d824abf0fe86e3ce201c8b7bda4063d0b8dbd2a606a",
        "quantile, linear": "a23bfc1ca876f938e51e4bd7715ee0733433df9493da6f40a5a109e5e15a676d",
        "poisson, exponential": "a3ab66ac18ae7965f09f79d419ee827b18496e0bc20e592e895928565685098b",
        "poisson, softplus": "a0874eb4730261a9b56f79283551adbfc098c93b381eb6374946fb760b2e875a",
        "hinge, linear": "a8facead34b767ecf4aa71f44e0952a8fb3f381a94f6f067a0c9aaeafb289e2c",
        "squared_hinge, linear": "97e4c5062c12103419f9d843d663a7beca9e4d3274fdb3f5561d7e3ecea76191",
        "focal, sigmoid": "1ea2688f6525fea20474a209619827524576790e7e3b82d5b58a27330c93de00",
        "focal, softmax": "4f2ef0c4f0f7a528ed242a639465b0a892cfe90efc1ce4042a1138499d616486",
        "smoothed labels, sigmoid": "69943405db2c1ed3ba0b03d98d5232cb3e85753d5ed2a361f89953acda01e3b5",
        "smoothed labels, softmax": "1ad4f6bb190ba0b9924ce25b1159e58bb59bfdfa15026588c00945c76db71662",
        "gaussian, linear": "1204ddb8172b12abbd06ac54ca9a0adcc904b330d888fee764c9f43ac67ef15f",
        "momentum": "1c34997d692543e50f264816f5cc26a842a9dae680f1e90c4312fa6f893f5f4f",
        "nesterov": "2a89add10dc35d7612249d6acf268a4979ed1399457da9e968397c3f852eede6",
        "rmsprop": "79d1fc3c27e63ba6f858ea250881f44657d837423b541ba1aa1b3268d87272b7",
        "adam": "5a1d72327705def54ff276717e34ebb0c9f5cc7adcfbe370bd7d4273d0765469",
        "adamw": "8efd34154dde0fd44a62dfaa63b0ed28e1477262bf13dfab96ee487ea9ac330b",
        "irprop": "84fa872b512c717eb0ba0ea33c6af8fc08df60f83e903891f3d76711f10a951b",
        "everything": "e81afd901ab6743f3e5cd3eff379591d63efa79558ec9bebd6c33e6102802133",
        "everything, in blocks": "536bef8129ddf1d74f44b629c39cfc6ba4241e4a496a1bc751df223790bba153",
    },
}


def test_every_formula_has_a_golden_hash():
    cases = [case for case, *_ in GOLDEN_CASES.values()]
    names = {name_and_parameter(recipe.get("cost", "quadratic"))[0] for *_, recipe in GOLDEN_CASES.values()}
    missing = {*activations.ROWS} - {name for case in cases for name in case.names}
    assert (missing, {*COSTS} - names) == (set(), set())


@pytest.mark.survives("another CPU")
@pytest.mark.parametrize("dtype", GOLDEN)
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden_hashes(name, members, dtype):
    assert golden_run(name, dtype, members) == GOLDEN[dtype][name]


@pytest.mark.parametrize("name", bits_table.TRAININGS)
def test_five_trainings_have_the_fingerprints_of_the_docs(name):
    """Trained by any team, in one call, or stopped and resumed."""
    shown = dict(
        re.findall(r"^\| ([\w ]+): .*`(\w{64})` \|", bits_table.PAGE.read_text("utf-8"), re.MULTILINE)
    )
    assert shown.keys() == bits_table.TRAININGS.keys()
    assert bits_table.fingerprint(name, threads=1, stopped=False) == shown[name]
    assert bits_table.fingerprint(name, threads=3, stopped=True) == shown[name]
