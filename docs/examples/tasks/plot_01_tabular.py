"""
Tables with gaps and categories
===============================

A pipeline of scikit-learn fills gaps, encodes categories and scales numbers; the estimator at its end is
fastbp's. All of it is one object, which a search can tune and a pickle can keep.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp.sklearn import MLPRegressor

random = np.random.default_rng(0)
flats = pandas.DataFrame(
    {
        "area": random.uniform(20, 150, 3000),
        "year": random.integers(1900, 2020, 3000).astype(float),
        "district": random.choice(["north", "south", "harbour"], 3000),
    }
)
by_district = flats["district"].map({"north": 9.0, "south": 12.0, "harbour": 16.0})
rent = flats["area"] * by_district + 3 * (flats["year"] - 1960).clip(0)
rent += 40 * random.standard_normal(3000)
flats.loc[random.random(3000) < 0.1, "year"] = np.nan  # a tenth is unknown

numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
columns = make_column_transformer(
    (numbers, ["area", "year"]), (OneHotEncoder(), ["district"])
)
network = MLPRegressor(
    hidden_layer_sizes=64, learning_rate_init=0.1, random_state=0
)
model = make_pipeline(columns, StandardScaler(), network)
train, test, rent_train, rent_test = train_test_split(flats, rent, random_state=0)
model.fit(train, rent_train)
print(f"R^2 of {model.score(test, rent_test):.3f} after {network.n_iter_} epochs")

# %%
# The same flat in each district, by its size:

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
area = np.linspace(20, 150, 50)
for district, color in zip(
    ["north", "south", "harbour"], ["#0072B2", "#009E73", "#D55E00"], strict=True
):
    flat = {"area": area, "year": 1980.0, "district": district}
    axes.plot(
        area, model.predict(pandas.DataFrame(flat)), color=color, label=district
    )
axes.set(xlabel="area", ylabel="rent")
axes.legend()
