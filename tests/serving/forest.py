# SPDX-License-Identifier: Apache-2.0
"""Models made of seeded numbers, as XGBoost's JSON, without XGBoost, and their answers.

Leaves are multiples of 2^-10 below 2^7: sums of them are exact in float32 in any order, so an answer is right or wrong and not near.
Splits are multiples of 2^-8, rows of 2^-10, for the same reason."""
import json, random


class Forest:
    """Complete trees of one depth; node i has the children 2i+1 and 2i+2."""

    def __init__(self, seed, trees=300, depth=6, features=30, shift=0.0):
        r = random.Random(seed)
        self.depth, self.features, self.base = depth, features, 0.5 + shift
        inner, leaves = 2 ** depth - 1, 2 ** depth
        self.trees = [([r.randrange(features) for _ in range(inner)], [r.randrange(-256, 257) / 256 for _ in range(inner)],
                       [r.randrange(-256, 257) / 1024 for _ in range(leaves)]) for _ in range(trees)]

    def row(self, r):
        return [r.randrange(-1024, 1025) / 1024 for _ in range(self.features)]

    def predict(self, row):
        total = self.base
        for split, at, leaf in self.trees:
            i = 0
            for _ in range(self.depth):
                i = 2 * i + 1 if row[split[i]] < at[i] else 2 * i + 2
            total += leaf[i - len(split)]
        return total

    def _tree(self, number):
        split, at, leaf = self.trees[number]
        inner, nodes = len(split), len(split) + len(leaf)
        rest = [0] * len(leaf)
        return {"base_weights": [0.0] * nodes, "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
                "default_left": [1] * inner + rest, "id": number, "left_children": [2 * i + 1 for i in range(inner)] + [-1] * len(leaf),
                "loss_changes": [1.0] * inner + [0.0] * len(leaf), "parents": [2147483647] + [(i - 1) // 2 for i in range(1, nodes)],
                "right_children": [2 * i + 2 for i in range(inner)] + [-1] * len(leaf), "split_conditions": at + leaf,
                "split_indices": split + rest, "split_type": [0] * nodes, "sum_hessian": [1.0] * nodes,
                "tree_param": {"num_deleted": "0", "num_feature": str(self.features), "num_nodes": str(nodes), "size_leaf_vector": "1"}}

    def save(self, path):
        n = len(self.trees)
        model = {"learner": {
            "attributes": {}, "feature_names": [f"f{i}" for i in range(self.features)], "feature_types": ["float"] * self.features,
            "gradient_booster": {"model": {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(n)}, "iteration_indptr": list(range(n + 1)),
                                           "tree_info": [0] * n, "trees": [self._tree(i) for i in range(n)]}, "name": "gbtree"},
            "learner_model_param": {"base_score": repr(self.base), "boost_from_average": "1", "num_class": "0", "num_feature": str(self.features),
                                    "num_target": "1"},
            "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}}, "version": [1, 7, 4]}
        with open(path, "w", encoding="utf-8") as f:
            json.dump(model, f)
