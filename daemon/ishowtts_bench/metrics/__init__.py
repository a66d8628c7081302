"""Who judges speech, each offline and by weights that packages carry: words, speaker, predicted opinion."""
