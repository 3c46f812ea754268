"""Rows of the published shapes, one or more for each adapter; shortened, never simplified."""

from __future__ import annotations

import json
from typing import Any

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000"
    "00030101 00c9fe92ef0000000049454e44ae426082".replace(" ", "")
)
"""A PNG of one red pixel, as a hub data set holds images."""


def _aspects(help_: object, faith: object, ethics: object) -> dict[str, Any]:
    return {
        "Helpfulness": {"Rating": help_, "Rationale": "r"},
        "Visual Faithfulness": {"Rating": faith, "Rationale": "r"},
        "Ethical Considerations": {"Rating": ethics, "Rationale": "r"},
    }


def _chat(question: str, reply: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


CRITIC_TASK = (
    "<image>\nGiven an image and a corresponding question, please serve as an unbiased and fair "
    "judge to evaluate the quality of the answers provided by a Large Multimodal Model (LMM). "
    "Determine which answer is better and explain your reasoning with specific details. Your task "
    "is provided as follows:\nQuestion: [What this image presents?]\nThe first response: [A cross, "
    "drawn [by hand].]\nThe second response: [This is a handwritten number seven.]\nASSISTANT:\n"
)
R1_TASK = (
    "You are a highly skilled and impartial evaluator.\n\n###### **Input:**  \n###### [Question]:\n"
    "What is shown?  \n\n###### [Response 1]:\nA cake.  \n\n###### [Response 2]:\nA cake shop.\n"
    "By Vuillard.  \n\n###### **Output Format (strictly follow):**  \n<think>...</think>"
    "<answer>1/2</answer>"
)

TRAINING: dict[str, dict[str, Any]] = {
    "mm-rlhf": {
        "prompt": "<image>\nHow many?", "chosen": "Two.", "rejected": "Three.", "id": "short_1",
        "image": "x.png", "chosen_reason": "Counts well.", "rejected_reason": "Miscounts.",
    },
    "vlfeedback": {
        "id": "svit-1", "prompt": "What is it?", "models": ["a", "b", "c"], "img_path": "x.png",
        "completions": {
            "annotations": [
                _aspects("3", "2", "5"), _aspects("5", "5", "5"), _aspects("N/A", "1", "1"),
            ],
            "model": ["a", "b", "c"],
            "response": ["A dog.", "A cat.", "Nothing."],
        },
    },
    "povid": {
        "id": "p1", "image": "x.png",
        "conversations": [
            {"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A cat."},
        ],
        "rejected_conversations": [
            {"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "Two cats."},
        ],
    },
    "rlaif-v": {
        "ds_name": "RLAIF-V", "image": {"bytes": PIXEL, "path": None}, "question": "What colour?",
        "chosen": "Red.", "rejected": "Blue.", "origin_dataset": "VQAv2", "idx": 0,
        "origin_split": json.dumps({"model": "llava"}), "image_path": "gone.jpg",
    },
    "mmpr": {"image": "x.png", "question": "<image>\nSolve.", "chosen": "4", "rejected": "5"},
    "mmif": {
        "images": ["x.png"], "chosen": "In caps: A", "rejected": "a",
        "conversations": [{"from": "human", "value": "<image>Answer in capitals."}],
    },
    "omnialign-v-dpo": {
        "images": ["x.png"], "conversations": [{"from": "human", "value": "<image>\nExplain."}],
        "chosen": {"from": "gpt", "value": "At length."},
        "rejected": {"from": "gpt", "value": "Short."},
    },
    "llava-critic": {
        "id": "c1", "source": "pairwise-1", "image": "x.png",
        "conversations": [
            {"from": "human", "value": CRITIC_TASK},
            {"from": "gpt", "value": "It is a seven. The better response: [2]"},
        ],
    },
    "skywork-80k": {
        "chosen": _chat("Why?", "Because."), "rejected": _chat("Why?", "No."), "source": "magpie",
    },
    "helpsteer3": {
        "domain": "code", "language": "python",
        "context": [*_chat("Hi", "Hello."), {"role": "user", "content": "Sort it."}],
        "response1": "x.sort()", "response2": "sorted(x)", "overall_preference": -2,
        "individual_preference": [
            {"score": -3, "reasoning": "r", "feedback1": "In place.", "feedback2": "A copy."},
            {"score": -2, "reasoning": "r", "feedback1": "", "feedback2": ""},
            {"score": 0, "reasoning": "r", "feedback1": "", "feedback2": ""},
        ],
    },
    "ultrafeedback": {
        "source": "evol_instruct", "instruction": "Say it.",
        "completions": [
            {"response": "One", "model": "a", "overall_score": 7.0, "annotations": {"x": "4"}},
            {"response": "Two", "model": "b", "overall_score": 8.5, "annotations": {"x": "4"}},
            {"response": "Three", "model": "c", "overall_score": 7.0, "annotations": {"x": "4"}},
            {"response": "Four", "model": "d", "overall_score": 2.0, "annotations": {"x": "4"}},
        ],
    },
    "ultrafeedback-binarized": {
        "prompt": "Say it.", "prompt_id": "1", "chosen": _chat("Say it.", "It."),
        "rejected": _chat("Say it.", "No."), "messages": _chat("Say it.", "It."),
        "score_chosen": 8.5, "score_rejected": 6.0,
    },
    "tulu-3": {
        "id": "t", "prompt": "Name one.", "chosen": _chat("Name one.", "Ada"),
        "rejected": _chat("Name one.", "None"), "source": "ai2-adapt-dev/if",
    },
    "olmo-2": {
        "prompt": "Name one.", "chosen": _chat("Name one.", "Ada"),
        "rejected": _chat("Name one.", "None"), "chosen_rating": 5, "rejected_rating": 2,
        "chosen_model": "a", "rejected_model": "b", "source": "mix", "id": "o",
    },
    "shp": {
        "post_id": "abc", "domain": "askculinary_train", "upvote_ratio": 0.98, "history": "Salt?",
        "human_ref_A": "A pinch.", "human_ref_B": "None.", "score_A": 4, "score_B": 12, "labels": 0,
        "seconds_difference": 100.0, "score_ratio": 3.0,
    },
    "r1-reward-rl": {
        "question": "What is shown?", "answer": ["<answer>2</answer>"], "image": ["x.png"],
        "message": json.dumps(
            [
                {
                    "role": "user",
                    "content": json.dumps(
                        [
                            {"type": "text", "text": R1_TASK},
                            {"type": "image", "image": "/data/x.png"},
                        ]
                    ),
                }
            ]
        ),
    },
    "hh-rlhf": {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Help?\n\nAssistant: Gladly.",
        "rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Help?\n\nAssistant: No.",
    },
    "llama-factory": {
        "conversations": [{"from": "human", "value": "<image>What?"}], "images": ["x.png"],
        "chosen": {"from": "gpt", "value": "This."}, "rejected": {"from": "gpt", "value": "That."},
    },
    "yojo": {
        "prompt": "Rank.", "responses": ["worst", "best", "middle"], "rankings": [3, 1, 2],
        "image": "x.png",
    },
    "ms-swift": {
        "messages": _chat("<image>What?", "This."), "rejected_response": "That.",
        "images": ["x.png"], "margin": 0.7,
    },
    "lightrft": {"prompt": "A red fox", "image_0": "x.png", "image_1": "y.png", "preference": "B"},
    "pandalm": {
        "idx": 0, "motivation_app": "Grammarly", "cmp_key": "a_b", "instruction": "Shorten.",
        "input": "A long one.", "response1": "One.", "response2": "Short.", "annotator1": 2,
        "annotator2": 2, "annotator3": 0,
    },
}  # fmt: skip
TRAINING["ultrafeedback-pairs"] = TRAINING["ultrafeedback"]
TRAINING["ultrafeedback-hard"] = TRAINING["ultrafeedback"]

BENCHMARKS: dict[str, dict[str, Any]] = {
    "vl-rewardbench": {
        "id": "RLAIF-V-12", "query": "<image>\nWhat?", "response": ["A cat.", "A dog."],
        "image": {"bytes": PIXEL, "path": "x.png"}, "human_ranking": [0, 1], "models": ["a", "b"],
        "judge": "gpt", "rationale": "", "query_source": "RLAIF-V", "meta": "", "ground_truth": "",
    },
    "mm-rlhf-rewardbench": {
        "id": "b_3", "image": "data/long/x.png", "prompt": "Describe.", "chosen": "Well.",
        "rejected": "Badly.", "chosen_reason": "", "rejected_reason": "",
    },
    "multimodal-rewardbench": {
        "ID": "mathvista-7", "Text": "Solve.", "Image": "x.png", "Output1": "4", "Output2": "5",
        "Better": "Output2", "Category": "reasoning",
    },
    "rewardbench": {
        "prompt": "Say.", "chosen": "Yes", "chosen_model": "a", "rejected": "No",
        "rejected_model": "b", "subset": "llmbar-natural", "id": 7,
    },
    "rewardbench-2": {
        "id": "33", "prompt": "Say.", "chosen": ["right"], "rejected": ["no", "nay", "no"],
        "num_correct": 1, "num_incorrect": 3, "total_completions": 4, "models": ["a"],
        "subset": "Focus",
    },
    "rm-bench": {
        "id": "r1", "prompt": "Say.", "domain": "safety-refuse", "chosen": ["c0", "c1", "c2"],
        "rejected": ["r0", "r1", "r2"],
    },
    "judgebench": {
        "pair_id": "j1", "original_id": "o", "source": "livebench-math", "question": "Say.",
        "response_model": "gpt-4o", "response_A": "3", "response_B": "4", "label": "B>A",
    },
}  # fmt: skip
