"""The one table of measures.

A new measure is an entry here, last; where no kernel gives it yet, a kernel; and a twin in `tests/reference.py`. Then
`scripts/document_measures.py` writes its page anew. The tests walk over this table.
"""

import math
from dataclasses import replace

from .measure import Bound, Form, Measure

SHANNON = (
    "Shannon CE. A mathematical theory of communication. Bell System Technical Journal 1948; 27: 379–423, 623–656."
)
GAL = "Gal Y. Uncertainty in deep learning. PhD thesis, University of Cambridge, 2016."
DEPEWEG = (
    "Depeweg S, Hernández-Lobato JM, Doshi-Velez F, Udluft S. Decomposition of uncertainty in Bayesian deep learning "
    "for efficient and risk-sensitive learning. ICML 2018."
)
HOULSBY = (
    "Houlsby N, Huszár F, Ghahramani Z, Lengyel M. Bayesian active learning for classification and preference "
    "learning. arXiv:1112.5745, 2011."
)
MALININ = "Malinin A, Gales M. Uncertainty estimation in autoregressive structured prediction. ICLR 2021."
FREEMAN = "Freeman LC. Elementary applied statistics. Wiley, 1965."
TSALLIS = (
    "Tsallis C. Possible generalization of Boltzmann-Gibbs statistics. Journal of Statistical Physics 1988; 52: "
    "479–487."
)
RENYI = (
    "Rényi A. On measures of entropy and information. Proceedings of the Fourth Berkeley Symposium on Mathematical "
    "Statistics and Probability 1961; 1: 547–561."
)

# Of C classes or R regions, and M members.
LOG_C = Bound("log C", lambda c, m: math.log2(c))
R_LOG_2 = Bound("R log 2", lambda r, m: float(r))
WITHIN_PE = replace(LOG_C, text="PE", measure="predictive_entropy")
WITHIN_PE_OF_REGIONS = replace(R_LOG_2, text="PE", measure="predictive_entropy")
ONE = Bound("1", lambda c, m: 1.0)
ONE_LESS_SHARE = Bound("1 - 1/C", lambda c, m: 1 - 1 / c)

_BINARY = "h(p) = -p log p - (1 - p) log(1 - p)"
_DIFFERENCE = "PE - EE, clamped at 0; the epistemic part"

_TABLE = (
    Measure(
        name="predictive_entropy",
        symbol="PE",
        unit="entropy",
        source="Shannon 1948; Gal 2016, section 3.3",
        good_for="How unsure the prediction is, from whatever cause: the number by which voxels, slices and samples "
        "are ranked for review.",
        colour="F0E442",
        softmax=Form("-Σ_c P_c log P_c", LOG_C, "entropy"),
        regions=Form(f"Σ_r h(P_r), {_BINARY}", R_LOG_2, "entropy"),
        references=(SHANNON, GAL),
    ),
    Measure(
        name="expected_entropy",
        symbol="EE",
        unit="entropy",
        source="Depeweg et al. 2018",
        good_for="What each member is unsure of by itself: ambiguous data, such as noise, partial volumes, or borders "
        "that experts draw differently. More training data does little about it.",
        colour="56B4E9",
        softmax=Form("mean over members of -Σ_c p_c log p_c; the aleatoric part", WITHIN_PE, "split"),
        regions=Form(f"mean over members of Σ_r h(p_r), {_BINARY}; the aleatoric part", WITHIN_PE_OF_REGIONS, "split"),
        references=(DEPEWEG,),
        of_one_member="predictive_entropy",
    ),
    Measure(
        name="mutual_information",
        symbol="MI",
        unit="entropy",
        source="Houlsby et al. 2011 (BALD)",
        good_for="Where the members disagree: what the model does not know, as on tissue or scanners that it was not "
        "trained on. It *is* the generalised Jensen–Shannon divergence of the members (Lin 1991, IEEE Transactions on "
        "Information Theory 37: 145–151; all weights 1/M): the mean Kullback–Leibler divergence of a member from the "
        "mean of all. Who looks for that has it here.",
        colour="E69F00",
        softmax=Form(_DIFFERENCE, WITHIN_PE, "split"),
        regions=Form(_DIFFERENCE, WITHIN_PE_OF_REGIONS, "split"),
        references=(HOULSBY,),
        of_one_member="0",
        # A part of predictive entropy, and seldom most of it.
        scale=0.5,
        accuracy=2e-6,
    ),
    Measure(
        name="variance",
        symbol="Var",
        unit="1",
        source="Gal 2016",
        good_for="Where the members disagree, as a squared distance: from 0.5 to 0.6 counts as much as from 0 to 0.1, "
        "which mutual information weighs more.",
        colour="009E73",
        softmax=Form(
            "Σ_c variance over members of p_c (ddof 0)",
            Bound("1 - 1/min(M, C)", lambda c, m: 1 - 1 / min(m, c)),
            "split",
        ),
        regions=Form("Σ_r variance over members of p_r (ddof 0)", Bound("R/4", lambda r, m: r / 4), "split"),
        references=(GAL,),
        of_one_member="0",
    ),
    Measure(
        name="expected_pairwise_kl",
        symbol="EPKL",
        unit="entropy",
        source="Malinin and Gales 2021",
        good_for="Where the members disagree, without an upper end: it still grows where members that are all but "
        "certain exclude each other, and mutual information is at its top.",
        colour="CC79A7",
        softmax=Form(
            "mean over all M² ordered pairs of members of the Kullback-Leibler divergence, p floored at 1e-7 in the "
            "logarithms, clamped at 0",
            None,
            "pairs",
        ),
        regions=None,
        references=(MALININ,),
        of_one_member="0",
        accuracy=2e-5,
        relative_accuracy=3e-6,
    ),
    Measure(
        name="least_confidence",
        symbol="LC",
        unit="1",
        source="",
        good_for="How often the label of such a voxel is wrong, if the probabilities are calibrated.",
        colour="D55E00",
        softmax=Form("1 - max_c P_c", ONE_LESS_SHARE, "mean", "confidence.least_confidence"),
        regions=None,
    ),
    Measure(
        name="margin",
        symbol="margin",
        unit="1",
        source="",
        good_for="How near the second class is to winning, whatever the others have: where little would turn the "
        "label.",
        colour="8DA0FF",
        softmax=Form("1 - (largest - second largest of P_c)", ONE, "mean", "confidence.margin"),
        regions=None,
    ),
    Measure(
        name="variation_ratio",
        symbol="VR",
        unit="1",
        source="Freeman 1965",
        good_for="How many members vote against the label: disagreement of members whose probabilities themselves "
        "mean little.",
        colour="B0B0B0",
        softmax=Form(
            "1 - (members that vote for the most voted class) / M; a member's tie goes to the lower class",
            Bound("1 - 1/M", lambda c, m: 1 - 1 / m),
            "mode",
        ),
        regions=None,
        references=(FREEMAN,),
        of_one_member="0",
    ),
    Measure(
        name="normalized_entropy",
        symbol="PE/log C",
        unit="1",
        source="",
        good_for="Predictive entropy between tasks with different numbers of classes, or with a threshold that has no "
        "unit.",
        colour="FFFFFF",
        softmax=Form("PE / log C", ONE, "mean", "normalized.normalized_entropy"),
        regions=Form("PE / (R log 2)", ONE, "mean", "normalized.normalized_entropy"),
    ),
    Measure(
        name="renyi_entropy_2",
        symbol="H2",
        unit="entropy",
        source="Rényi 1961; the collision entropy",
        good_for="How unsure the prediction is between its likely classes: many classes with a little probability each "
        "count less than in predictive entropy, which it never exceeds.",
        colour="80FFE0",
        softmax=Form("-log Σ_c P_c²", LOG_C, "mean", "collision.renyi_of_classes"),
        regions=Form("Σ_r -log(P_r² + (1 - P_r)²)", R_LOG_2, "mean", "collision.renyi_of_regions"),
        references=(RENYI,),
    ),
    Measure(
        name="tsallis_entropy_2",
        symbol="S2",
        unit="1",
        source="Tsallis 1988; the Gini impurity",
        good_for="The chance that two labels drawn from the prediction differ, which is the Brier score that the "
        "prediction expects of itself. It has no logarithm and no unit, and saturates sooner than predictive entropy.",
        colour="FF9DA7",
        softmax=Form("1 - Σ_c P_c²", ONE_LESS_SHARE, "mean", "collision.tsallis_of_classes"),
        regions=Form("Σ_r 2 P_r (1 - P_r)", Bound("R/2", lambda r, m: r / 2), "mean", "collision.tsallis_of_regions"),
        references=(TSALLIS,),
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _TABLE}
