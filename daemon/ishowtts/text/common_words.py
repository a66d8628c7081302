"""Common words of languages in Latin letters. They tell the language of a sentence that is too short for statistics."""

from __future__ import annotations

_WORDS = {
    "en": """
        the and is are was were be been am i you he she it we they my your his her its our their me him us them this
        that these those there here what when where why who how which not no yes do does did don't can can't will
        won't would should could have has had for from with without by at of on in to into out up down off about after
        before over under an a or but if so than then too very just per now today tomorrow tonight please thank thanks
        hello hi hey good morning night day time next new old one two three all some any more most much many only also
        again still never always ever open opened closed close door doors front back home house room garage kitchen
        living garden light lights left right ready done finished failed low high battery washing machine water gas
        alarm detected motion temperature rain raining rains snow let's lets go goes going gone come comes get gets
        got make made see say says said play plays playing game games win wins won lost lose love like likes want need
        know think look wait call called name song bro man dude chat stream guys everyone someone people i'm it's
        he's she's you're that's what's i'll ain't gonna wanna hard nice great best first last error joined comment
        bonjour merci danke gracias ciao bella hola amigo amigos por favor adios uber über cool bon voyage appétit
    """,
    "de": """
        der das und ist sind nicht ein eine einen einem einer eines kein keine ich du er wir ihr sie es mich dich mir
        dir uns euch mein meine dein deine sein seine im am zum zur vom beim mit von für auf aus bei nach seit zu über
        unter vor durch um wie wo wer wann warum wenn dass auch noch schon sehr mehr nur aber oder doch denn mal jetzt
        heute gestern morgen nacht abend tag guten gute gut schön bitte danke dank vielen viel alles hat haben habe
        wird werden wurde war bin bist kann muss soll geht gehen kommt komme macht offen geschlossen fertig regnet
        regen schneit hallo nichts immer wieder hier da dann ja nein kostet essen uhr minuten stunden grad haus hause
        tür zug glückwunsch geburtstag grüße leute achtung bis bald
    """,
    "fr": """
        le la les un une des du de et est sont pas ne ce cette c'est je tu il elle nous vous ils elles on me te se mon
        ma mes ton ta tes son sa ses au aux dans pour par sur avec sans que qui quoi où quand comment pourquoi mais ou
        donc très bien bon bonne bonjour bonsoir nuit merci beaucoup suis es êtes sommes ai as a avons avez ont fait
        va vais vont était être avoir il y j'ai n'est d'un d'une qu'il l' j' d' n' qu' t' s' m' pleut neige tout tous
        toute ici là aujourd'hui demain maintenant encore ouverte ouvert fermé prêt terminé plus moins
    """,
    "es": """
        el la los las un una unos unas de del y es son está están no que en por para con sin al se me te le lo nos mi
        tu su mis tus sus yo tú él ella nosotros ustedes qué quién cómo cuándo dónde cuál pero o si muy más menos bien
        hola buenos buenas días noches tardes gracias muchas mucho todo todos hay hace hora casa ahora hoy mañana ayer
        aquí eres soy estoy estás tengo tiene va voy vamos quiero llamo llueve lloviendo feliz desde entiendo nada
        abierta abierto cerrada lista listo
    """,
    "it": """
        il lo la gli le un una di del della dei e è sono non che in per con su al alla da nel nella si mi ti ci vi mio
        mia tuo tua io tu lui lei noi voi cosa chi come quando dove perché ma o se molto più meno bene ciao buongiorno
        buonasera buona buon notte grazie mille tutto tutti ora ore oggi domani ieri qui sei ho hai ha abbiamo fa
        sta stai sto vado andiamo chiamo amo piove piovendo capisco niente aperta aperto chiusa pronta pronto finito
        tanti auguri
    """,
    "pt": """
        o os as um uma de do da dos das e é são não que em na nos nas por para com sem ao se me te eu tu ele ela
        nós você vocês meu minha seu sua quem como quando onde mas ou muito mais menos bem olá bom boa dia noite tarde
        obrigado obrigada tudo todos está estão estou tem tenho vai vou vamos hora horas casa agora hoje amanhã ontem
        aqui chove chovendo chover feliz entendo nada amo pronto aberta aberto fechada
    """,
    "nl": """
        de het een en is zijn niet geen ik jij je hij zij wij we jullie u mij me hem haar ons mijn jouw zijn van voor
        met op in aan uit bij naar om te dat die dit wat wie waar hoe wanneer waarom maar of als ook nog al wel zeer
        meer nu vandaag morgen gisteren goede goedemorgen goedenavond goed dank bedankt alsjeblieft heeft heb hebben
        wordt was ben bent kan moet gaat gaan komt staat over deur klaar regent sneeuwt laat huis iemand hou moe hallo
        er minuten
    """,
    "pl": """
        i jest są nie się w z na do od za po przez dla ze to ten ta ja ty on ona my wy oni mnie cię mi ci mój moja twój
        co kto gdzie kiedy jak dlaczego ale lub czy też już jeszcze bardzo więcej tylko teraz dziś dzisiaj jutro
        dzień dobry dobranoc dobra noc dziękuję proszę cześć pada deszcz śnieg masz mam jestem kocham rozumiem idziemy
        idę która godzina domu wszystkiego najlepszego pozdrowienia drzwi otwarte
    """,
    "sv": """
        och är inte en ett det den de jag du han hon vi ni mig dig oss min din sin på i av för med till från om som att
        vad vem var hur när varför men eller också redan mycket mer bara nu idag imorgon god morgon natt kväll tack hej
        har hade ska kan måste går kommer regnar snöar hem klar öppen dörren klockan förstår älskar mår så
    """,
    "da": """
        og er ikke en et det den de jeg du han hun vi mig dig os min din sin på i af for med til fra om som at hvad hvem
        hvor hvordan hvornår hvorfor men eller også allerede meget mere kun nu dag morgen god godmorgen nat aften tak
        mange hej har havde skal kan må går kommer kører regner sner hjem klar åben døren forstår elsker
    """,
    "no": """
        og er ikke en et det den de jeg du han hun vi meg deg oss min din sin på i av for med til fra om som å hva hvem
        hvor hvordan når hvorfor men eller også allerede mye mer bare nå dag morgen god natt kveld takk hei har hadde
        skal kan må går kommer regner snør hjem klar åpen døra forstår skjønner elsker
    """,
    "fi": """
        ja on ei ole minä sinä hän me te he se tämä mitä kuka missä milloin miten miksi mutta tai myös vielä jo hyvin
        enemmän vain nyt tänään huomenta hyvää yötä iltaa päivää kiitos paljon moi hei olen olet ovat sataa lunta
        kotiin auki kiinni valmis ovi kuuluu kello mennään rakastan paljonko
    """,
    "cs": """
        a je jsou není se si v na do od z za po pro s to ten ta já ty on ona my vy oni mě tě mi ti můj moje tvůj co kdo
        kde kdy jak proč ale nebo také už ještě velmi více jen teď dnes zítra dobrý dobré dobrou den ráno noc večer
        děkuji prosím ahoj prší sněží jsem jsi máš mám miluji kolik hodin domů dveře otevřené hotová
    """,
    "sk": """
        a je sú nie sa si v na do od z za po pre s to ten tá ja ty on ona my vy oni ma ťa mi ti môj moja tvoj čo kto
        kde kedy ako prečo ale alebo tiež už ešte veľmi viac len teraz dnes zajtra dobrý dobré dobrú deň ráno noc večer
        ďakujem prosím ahoj prší sneží som máš mám ľúbim koľko hodín domov dvere otvorené hotová vonku všetkým
    """,
    "hu": """
        a az és van nincs nem egy én te ő mi ti ők hogy mit ki hol mikor miért hogyan de vagy is már még nagyon több
        csak most ma holnap jó reggelt napot estét éjszakát köszönöm szépen kérem szia esik eső havazik hány óra
        szeretlek vagyok haza kész nyitva zárva ajtó vacsora
    """,
    "ro": """
        și este sunt nu un o în la de pe cu din pentru că ce cine unde când cum de dar sau mai foarte bine eu tu el ea
        noi voi ei mă te îmi îți meu mea tău bună ziua dimineața seara noapte mulțumesc mult rog salut plouă ninge acum
        azi mâine ieri aici iubesc faci cât ceasul gata deschisă ușa minute
    """,
    "tr": """
        ve bir bu şu o ben sen biz siz onlar değil var yok mı mi mu mü ne kim nerede ne nasıl niçin ama veya da de çok
        daha şimdi bugün yarın dün günaydın iyi geceler akşamlar günler merhaba teşekkür teşekkürler ederim lütfen
        evet hayır yağmur kar yağıyor saat kaç nasılsın seni seviyorum hazır açık kapalı kapı
    """,
    "id": """
        dan adalah tidak yang di ke dari untuk dengan ini itu saya aku kamu anda dia kami kita mereka apa siapa mana
        kapan bagaimana kenapa tapi atau juga sudah belum sangat lebih hanya sekarang hari besok kemarin selamat pagi
        siang sore malam terima kasih banyak tolong halo ada akan bisa hujan turun jam berapa lagi kabar cinta pintu
        pintunya terbuka semuanya
    """,
    "vi": """
        và là không của có một các những này đó tôi bạn anh em chị ông bà chúng ta họ gì ai đâu nào sao nhưng hoặc cũng
        đã đang sẽ rất hơn chỉ bây giờ hôm nay ngày mai chào buổi sáng tối chúc ngủ ngon cảm ơn nhiều xin trời mưa mấy
        rồi khỏe yêu cửa mở
    """,
    "hr": """
        i je su nije se u na do od iz za po s to taj ta ja ti on ona mi vi oni me te moj moja tvoj što tko gdje kada
        kako zašto ali ili također već još vrlo više samo sada danas sutra dobar dobro dan jutro večer laku noć hvala
        molim bok pada kiša snijeg sam si imam volim koliko sati kući vrata otvorena gotova
    """,
    "af": """
        is nie 'n het ek jy hy sy ons julle hulle van vir met uit by na om te dit hierdie baie nou vandag môre goeie
        dankie asseblief buite koud
    """,
    "az": """
        və bir bu mən sən o biz siz deyil var yox nə kim harada necə amma çox daha indi gün sabah salam təşəkkür
    """,
    "ca": """
        és són amb per als els les una que i o però molt més bon dia nit gràcies hola aquest aquesta està estan hi ha
        ara avui demà fora punt ja
    """,
    "cy": """
        mae mae'n yn yr ac ar gyda wedi nid dim beth pwy ble pryd sut bore nos diolch heddiw yfory nawr iawn allan
    """,
    "et": """
        ja on ei see ma sa ta me te nad mis kes kus millal kuidas miks aga või ka veel juba väga ainult nüüd täna homme
        tere hommikust õhtust aitäh palun valmis
    """,
    "eu": """
        eta da ez dira dago zara gara bat hau hori zer nor non noiz nola baina edo ere oso orain gaur bihar egun gabon
        eskerrik asko ari du
    """,
    "ga": """
        agus tá níl an na ar ag le mo is cad cé cá conas go maith raibh inniu amárach anois sé sí
    """,
    "is": """
        og er ekki ég þú hann hún við þið það sem að á í um með til frá hvað hver hvar hvernig eða líka mjög núna dag
        góðan daginn kvöld takk úti
    """,
    "lt": """
        ir yra nėra aš tu jis ji mes jūs tai kas kur kada kaip kodėl bet ar arba dar jau labai tik dabar šiandien rytoj
        labas rytas diena vakaras ačiū prašau į iš su už prie
    """,
    "lv": """
        un ir nav es tu viņš viņa mēs jūs tas tā kas kur kad kā kāpēc bet vai arī vēl jau ļoti tikai tagad šodien rīt
        labrīt labdien labvakar paldies lūdzu no uz ar par pie
    """,
    "mt": """
        hu hi mhux ta' li dan din xi min fejn meta kif iżda jew ukoll ħafna issa llum għada grazzi bonġu
    """,
    "sl": """
        je in so ni se v na z za po od do to ta ti mi vi oni kaj kdo kje kdaj kako zakaj ali tudi že še zelo več samo
        zdaj danes jutri dober dan jutro večer lahko noč hvala prosim zunaj
    """,
    "sq": """
        dhe është jo nuk unë ti ai ajo ne ju në me për nga një të së që çfarë kush ku kur si por ose shumë tani sot
        nesër faleminderit mirë po
    """,
    "sw": """
        na ni si ya wa kwa katika hii hiyo mimi wewe yeye sisi nini nani wapi lini vipi lakini au pia sana sasa leo
        kesho habari asante tafadhali nje
    """,
}
_PARTICLES = """
    de del della der den die das dem di da do dos des du la las le les los el il lo van von vom zu zum ten ter y e
    und et
"""


def _by_word() -> dict[str, tuple[str, ...]]:
    languages: dict[str, list[str]] = {}
    for language, words in _WORDS.items():
        for word in dict.fromkeys(words.split()):
            languages.setdefault(word, []).append(language)
    return {word: tuple(found) for word, found in languages.items()}


LANGUAGES_OF_WORD = _by_word()
"""The languages in which a word, in lower case, is common. A form with an apostrophe at its end is a beginning."""
PARTICLES = frozenset(_PARTICLES.split())
"""Words that join the parts of a name, or begin a title."""
