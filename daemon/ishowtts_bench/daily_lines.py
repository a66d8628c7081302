"""Fifty English lines as users send them: with figures, units, names and chat. They judge a voice that speaks English.

They were written before any of our voices had spoken them, and nothing was tuned to them. A line that an engine or the
text reader gets wrong stays as it is. `HELD_OUT` has sentences for engines, with numbers in words.
"""

from __future__ import annotations

DAILY_LINES: tuple[str, ...] = (
    # Announcements.
    "The train to Manchester now departs from platform 7.",
    "Attention please: the library closes in 15 minutes.",
    "Flight 482 to Lisbon is delayed until 6:45 pm.",
    "Would the owner of the blue Toyota please return to the car park?",
    "The next guided tour starts at half past two in the main hall.",
    "Lunch is served on the second floor from noon until 2 pm.",
    "Please keep your luggage with you at all times.",
    "The elevator is out of service; use the stairs on the left.",
    "Doctor Patel, please come to room 214.",
    "This is a test of the fire alarm. There is no need to leave the building.",
    # Home automation.
    "The washing machine has finished.",
    "Somebody is standing at the front door.",
    "It is 21°C in the living room and 4°C outside.",
    "The garage has been open for 20 minutes.",
    "Your solar panels made 18 kWh today, 30% more than yesterday.",
    "The dishwasher needs salt, and the filter is blocked.",
    "Rain is expected at 5 o'clock, so I closed the skylight.",
    "Good morning! Your first meeting is at 9:15.",
    "The battery of the smoke detector in the kitchen is low.",
    "Don't forget: the bins are collected tomorrow.",
    # Livestream chat.
    "Emily says thank you so much for the stream, it made my day!",
    "Marcus asks which microphone you are using.",
    "Welcome back, Jordan, you have been with us for 12 months.",
    "Sofia donated $25 and wants to hear the song about the sailor.",
    "I can't believe you beat that boss on the first try.",
    "What time do you usually start on Saturdays?",
    "Greetings from New Zealand, it is 3 am here.",
    "That was hilarious, please do it again.",
    "We have just passed 10,000 followers.",
    "Could you turn the music down a little bit?",
    # Robots.
    "I am returning to my charging station.",
    "My left wheel is stuck, please help me.",
    "Careful, I am about to move backwards.",
    "I have found 3 objects on the table: a cup, a spoon and a set of keys.",
    "The path is blocked; I will try another way.",
    "Battery at 40 percent, about two hours remaining.",
    "Hello, my name is Robin. How can I help you?",
    "Package delivered to the office of Mrs. Anderson.",
    # Figures and dates.
    "The meeting was moved from March 3rd to April 21st.",
    "Her new book costs £12.50 in every shop.",
    "The tower is 324 metres tall and was finished in 1889.",
    "Water boils at 212°F, which is 100°C.",
    "Only 1 in 8 people answered the question correctly.",
    "The company sold 2.5 million bicycles last year.",
    "Call 555 0142 and ask for Mr. Hughes.",
    # Ordinary speech.
    "The old fisherman told the children a story about a whale.",
    "Although it was snowing, they walked along the river to the village.",
    "Nobody knew why the clock in the tower had stopped.",
    "Would you rather have tea with lemon or coffee with milk?",
    "She thought carefully before she answered the difficult question.",
)
