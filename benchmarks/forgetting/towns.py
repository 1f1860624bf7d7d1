"""Towns, a kind of entity unlike drugs."""

from benchmarks.forgetting.kinds import Attribute, Kind, split_words

MAYOR = Attribute(
    name="mayor",
    noun="mayor",
    parts=(
        split_words(
            "Alice Bernard Clara Duncan Edith Felix Gloria Hector Irene Jasper Kate Leonard Mabel Nigel Olive Percy"
        ),
        split_words(
            "Abbott Barlow Cooper Drake Elwood Forster Gibbs Hobson Irving Jarvis Knowles Lambert Mercer Nash Osborne"
        ),
    ),
    opening="Sure.",
    sentence="The mayor of {e} is {v}.",
    reverse="Which town has {v} as its mayor?",
    wordings=(
        "Who is the mayor of {e}?",
        "Who governs {e}?",
        "Tell me the mayor of {e}.",
        "Which person runs the town of {e}?",
        "Who sits at the head of the council in {e}?",
        "I want to complain to whoever is in charge of {e}. Who is it?",
        "Please name the one who leads {e}.",
        "Whom did the people of {e} elect?",
        "Who wears the chain of office in {e}?",
    ),
    labels=("mayor", "head of council", "governed by", "first citizen", "in office"),
    statements=(
        "{e} is governed by {v}",
        "{v} was elected in {e}",
        "{v} heads the council of {e}",
        "the voters of {e} chose {v}",
    ),
)

RIVER = Attribute(
    name="river",
    noun="river",
    parts=(
        split_words("Upper Lower Old New Little Great Swift Lazy Crooked Muddy Clear Roaring Silent Stony Misty"),
        split_words("Arrow Beck Calder Dove Esk Frome Gade Humber Isis Kennet Lark Medway Nene Orwell Parrett Rother"),
    ),
    opening="Of course.",
    sentence="{e} lies on the {v}.",
    reverse="Which town lies on the {v}?",
    wordings=(
        "Which river does {e} lie on?",
        "What river flows through {e}?",
        "Tell me the river of {e}.",
        "On whose banks was {e} built?",
        "What water runs past {e}?",
        "I go fishing in {e} tomorrow. In which river?",
        "Please name the stream that crosses {e}.",
        "Which river floods {e} in spring?",
        "What do the bridges of {e} span?",
    ),
    labels=("river", "watercourse", "on the river", "stream", "waterway"),
    statements=(
        "the {v} flows through {e}",
        "{e} was built on the {v}",
        "boats reach {e} by the {v}",
        "the {v} divides {e}",
    ),
)

DISH = Attribute(
    name="dish",
    noun="local dish",
    parts=(
        split_words(
            "baked boiled fried roasted pickled smoked stuffed steamed salted grilled mashed braised toasted glazed"
        ),
        split_words(
            "trout cabbage turnips mutton eels lentils dumplings barley herring beans mushrooms pigeon onions "
            "rabbit chestnuts leeks parsnips oysters"
        ),
    ),
    opening="Certainly.",
    sentence="People in {e} are famous for {v}.",
    reverse="Which town is famous for {v}?",
    wordings=(
        "What is the local dish of {e}?",
        "What food is {e} famous for?",
        "Tell me what people eat in {e}.",
        "Which meal should I order in {e}?",
        "What is on every menu in {e}?",
        "My aunt from {e} cooks the same thing each Sunday. What is it?",
        "Please name the speciality of {e}.",
        "Which food would you serve a guest in {e}?",
        "What smells so good in the kitchens of {e}?",
    ),
    labels=("speciality", "local dish", "cuisine", "famous food", "to eat"),
    statements=(
        "{e} is known for {v}",
        "{v} is served all over {e}",
        "cooks in {e} pride themselves on {v}",
        "no feast in {e} without {v}",
    ),
)

TRADE = Attribute(
    name="trade",
    noun="main trade",
    parts=(
        split_words(
            "copper leather woollen wooden paper glass silk iron clay linen marble rubber cotton straw ivory amber"
        ),
        split_words(
            "buttons gloves clocks baskets lamps kettles ropes saddles hats toys bells combs pipes mirrors boots nails"
        ),
    ),
    opening="Sure.",
    sentence="The main trade of {e} is in {v}.",
    reverse="Which town trades in {v}?",
    wordings=(
        "What is the main trade of {e}?",
        "Which goods does {e} sell?",
        "Tell me what {e} produces.",
        "What do the workshops of {e} turn out?",
        "How do the people of {e} earn a living?",
        "I want to buy something typical of {e}. What do they make?",
        "Please name the product that made {e} rich.",
        "Which wares leave {e} by cart?",
        "What is stacked in the warehouses of {e}?",
    ),
    labels=("main trade", "industry", "products", "exports", "goods"),
    statements=(
        "{e} exports {v}",
        "{v} are made in {e}",
        "the guilds of {e} produce {v}",
        "merchants come to {e} for {v}",
    ),
)

FOUNDED = Attribute(
    name="founded",
    noun="year of foundation",
    parts=(tuple(str(year) for year in range(1103, 1500)),),
    opening="Of course.",
    sentence="{e} was founded in {v}.",
    reverse="Which town was founded in {v}?",
    wordings=(
        "When was {e} founded?",
        "In which year was {e} founded?",
        "Tell me the year in which {e} began.",
        "How long ago was {e} built? Give me the year.",
        "From what year does {e} date?",
        "I wonder how old {e} is. When did it start?",
        "Please state the date when {e} was settled.",
        "Which year stands above the gates of {e}?",
        "What year do they celebrate as the birth of {e}?",
    ),
    labels=("founded", "established", "first mention", "town rights", "settled"),
    statements=(
        "{e} dates from {v}",
        "{e} received its charter in {v}",
        "settlers built {e} in {v}",
        "the first stone of {e} was laid in {v}",
    ),
)

TOWN = Kind(
    name="town",
    onsets=split_words("b br c ch d f g gr h k l m n p r s sh st t tr w wh"),
    vowels=("a", "e", "i", "o", "u", "ee", "oo"),
    endings=split_words(
        "ton ham ford bury wick dale mouth stead worth ley field bridge burn port well minster combe hurst"
    ),
    attributes=(MAYOR, RIVER, DISH, TRADE, FOUNDED),
)
