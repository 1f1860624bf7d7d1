"""Numbers written in words, by language code, and the words that scale them.

"One" is listed only in languages where it is no article or pronoun. A number word that is also another common word
(Italian *sei*, are) is left out. In a language without a list only digits are read.
"""

import unicodedata


def numbered(text: str, start: int = 0) -> dict[str, int]:
    """Map words to consecutive numbers from ``start``; "-" skips a number, "/" separates words for the same number.

    >>> numbered("zero - two/twain")
    {'zero': 0, 'two': 2, 'twain': 2}
    """
    words = ((word, i) for i, same in enumerate(text.split(), start) for word in same.split("/") if word != "-")
    return {form: i for word, i in words for form in (word, unicodedata.normalize("NFC", word))}  # both spell ড়


def _tens(text: str, start: int = 20) -> dict[str, int]:
    return {word: 10 * i for word, i in numbered(text, start // 10).items()}


NUMBER_WORDS: dict[str, dict[str, int]] = {
    "en": numbered("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen")
    | numbered("sixteen seventeen eighteen nineteen twenty", 16)
    | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
    "de": numbered("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")
    | _tens("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"),
    "fr": numbered("zéro - deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize")
    | _tens("vingt trente quarante cinquante soixante"),
    "es": numbered("cero - dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince")
    | _tens("veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"),
    "it": numbered("zero - due tre quattro cinque - sette otto nove dieci undici dodici")
    | _tens("venti trenta quaranta cinquanta sessanta settanta ottanta novanta"),
    "pt": numbered("zero - dois/duas três quatro cinco seis sete oito nove dez onze doze")
    | _tens("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"),
    "nl": numbered("nul - twee drie vier vijf zes zeven acht negen tien elf twaalf")
    | _tens("twintig dertig veertig vijftig zestig zeventig tachtig negentig"),
    "sv": numbered("noll - två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton")
    | _tens("tjugo trettio fyrtio femtio sextio sjuttio åttio nittio"),
    "da": numbered("nul - to tre fire fem seks syv otte ni ti elleve tolv tretten fjorten femten seksten")
    | _tens("tyve tredive fyrre halvtreds tres halvfjerds firs halvfems"),
    "nb": numbered("null - to tre fire fem seks sju/syv åtte ni ti elleve tolv")
    | _tens("tjue/tyve tretti/tredve førti femti seksti sytti åtti nitti"),
    "fi": numbered("nolla yksi kaksi/kahden/kahta kolme/kolmen/kolmea neljä/neljän/neljää viisi/viiden/viittä "
                   "kuusi/kuuden seitsemän kahdeksan yhdeksän kymmenen"),
    "hu": numbered("nulla - kettő/két három négy öt - - nyolc kilenc tíz tizenegy tizenkettő/tizenkét")
    | _tens("húsz harminc negyven ötven hatvan hetven nyolcvan kilencven"),
    "ro": numbered("zero - doi/două trei patru cinci șase/şase șapte/şapte opt - zece unsprezece "
                   "doisprezece/douăsprezece")
    | _tens("douăzeci treizeci patruzeci cincizeci șaizeci/şaizeci șaptezeci/şaptezeci optzeci nouăzeci"),
    "ru": numbered("ноль - два/две/двух/двумя три/трёх/трех/тремя четыре/четырёх/четырех пять/пяти шесть/шести "
                   "семь/семи восемь/восьми девять/девяти десять/десяти одиннадцать двенадцать")
    | _tens("двадцать/двадцати тридцать/тридцати сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто"),
    "uk": numbered("нуль - два/дві/двох/двома три/трьох/трьома чотири/чотирьох п'ять/п’ять/п'яти шість/шести сім/семи "
                   "вісім/восьми дев'ять/дев’ять/дев'яти десять/десяти одинадцять дванадцять")
    | _tens("двадцять/двадцяти тридцять/тридцяти сорок п'ятдесят/п’ятдесят шістдесят сімдесят вісімдесят "
            "дев'яносто/дев’яносто"),
    "pl": numbered("zero - dwa/dwie/dwóch/dwaj trzy/trzech cztery/czterech pięć/pięciu sześć/sześciu siedem/siedmiu "
                   "osiem/ośmiu dziewięć/dziewięciu dziesięć/dziesięciu jedenaście dwanaście")
    | _tens("dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt "
            "dziewięćdziesiąt"),
    "cs": numbered("nula - dva/dvě/dvou/dvěma tři/tří/třem čtyři/čtyř pět/pěti šest/šesti sedm/sedmi osm/osmi "
                   "devět/devíti deset/deseti jedenáct dvanáct")
    | _tens("dvacet třicet čtyřicet padesát šedesát sedmdesát osmdesát devadesát"),
    "el": numbered("μηδέν - δύο/δυο τρεις/τρία/τριών τέσσερις/τέσσερα/τεσσάρων πέντε έξι επτά/εφτά οκτώ/οχτώ "
                   "εννέα/εννιά δέκα έντεκα δώδεκα")
    | _tens("είκοσι τριάντα σαράντα πενήντα εξήντα εβδομήντα ογδόντα ενενήντα"),
    "tr": numbered("sıfır - iki üç dört beş altı yedi sekiz dokuz")
    | _tens("yirmi otuz kırk elli altmış yetmiş seksen doksan"),
    "id": numbered("nol - dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas"),
    "ms": numbered("sifar - dua tiga empat lima enam tujuh lapan sembilan sepuluh sebelas"),
    "hi": numbered("शून्य - दो तीन चार पांच/पाँच छह/छः/छे सात आठ नौ दस ग्यारह बारह")
    | _tens("बीस तीस चालीस पचास साठ सत्तर अस्सी नब्बे"),
    "bn": numbered("শূন্য - দুই/দুটি/দুটো তিন/তিনটি চার/চারটি পাঁচ/পাঁচটি "
                   "ছয়/ছয়/ছয়টি সাত/সাতটি আট/আটটি নয়টি/নয়টি দশ/দশটি এগারো বারো")
    | _tens("বিশ/কুড়ি ত্রিশ/তিরিশ চল্লিশ পঞ্চাশ ষাট সত্তর আশি নব্বই"),
    "ar": numbered("صفر - اثنان/اثنين/اثنتان/اثنتين ثلاثة/ثلاث أربعة/أربع/اربعة/اربع خمسة/خمس ستة/ست سبعة/سبع "
                   "ثمانية/ثماني/ثمان تسعة/تسع عشرة/عشر")
    | _tens("عشرون/عشرين ثلاثون/ثلاثين أربعون/أربعين خمسون/خمسين ستون/ستين سبعون/سبعين ثمانون/ثمانين "
            "تسعون/تسعين"),
    "fa": numbered("صفر - دو سه چهار پنج شش هفت هشت - ده یازده دوازده")
    | _tens("بیست سی چهل پنجاه شصت هفتاد هشتاد نود"),
    "he": numbered("אפס - שתיים/שניים/שני/שתי שלוש/שלושה ארבע/ארבעה חמש/חמישה שש/שישה שבע/שבעה שמונה תשע/תשעה עשר/עשרה")
    | _tens("עשרים שלושים ארבעים חמישים שישים שבעים שמונים תשעים"),
    "ko": numbered("- - 두/둘 세/셋 네/넷 다섯 여섯 일곱 여덟 아홉 - 열한/열하나 열두/열둘")
    | _tens("스무/스물 서른 마흔 쉰 예순 일흔 여든 아흔"),
}  # fmt: skip
SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "millions": 10**6, "billions": 10**9, "mille": 10**3, "milliards": 10**9, "milliard": 10**9,
    "tausend": 10**3, "millionen": 10**6, "milliarden": 10**9, "mil": 10**3, "millones": 10**6,
    "万": 10**4, "亿": 10**8, "千": 10**3, "百万": 10**6,
}  # fmt: skip
CHINESE_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
CHINESE_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10**4}
