"""Sentences for the metrics. None of our voices is trained on them. Numbers are in words, as engines get them.

Every sentence has a clause, so that a line of two sentences can have a short first segment.
"""

from __future__ import annotations

HELD_OUT: dict[str, tuple[str, ...]] = {
    "en": (
        "When the ferry reached the island, a brass band was playing on the pier.",
        "The carpenter measured the shelf twice, and still it came out crooked.",
        "After the thunderstorm, the orchard smelled of wet leaves and apples.",
        "Seventeen cyclists rode past the bakery, ringing their bells.",
        "If you are cold, there is a woollen blanket in the bottom drawer.",
        "My grandmother planted tulips in October, just before the frost.",
        "The museum opens at half past nine, but the cafe is open earlier.",
        "He whispered the password, opened the gate, and let the horses out.",
        "Although the recipe was simple, nobody managed to copy her soup.",
        "Two hundred lanterns floated down the canal, one for every family.",
        "Please put the heavy boxes near the wall, and the glasses on the table.",
        "She had never seen the desert, so she stayed awake all night to watch it.",
        "The astronomer pointed at Jupiter, then at three of its moons.",
        "Because the bridge is closed, the bus goes around by the old brewery.",
        "In the evening, fishermen mend their nets beside the lighthouse.",
        "The violin was out of tune, yet the melody made everybody quiet.",
    ),
    "zh": (
        "渡船靠岸的时候，码头上有人在吹小号。",
        "木匠量了两次书架，结果还是做歪了。",
        "雷雨过后，果园里都是树叶的香味。",
        "十七个骑车的人经过面包店，一路按着铃。",
        "如果你觉得冷，下面的抽屉里有一条毯子。",
        "奶奶在十月种下了花，正好在下霜以前。",
        "博物馆九点半开门，不过咖啡馆开得更早。",
        "他小声说出密码，打开大门，把马放了出去。",
        "虽然做法很简单，可是没有人学会她的汤。",
        "因为大桥关闭了，公共汽车要从老工厂那边绕过去。",
        "请把重的箱子放在墙边，把杯子放在桌子上。",
        "到了傍晚，渔民们在灯塔旁边修补渔网。",
    ),
}
