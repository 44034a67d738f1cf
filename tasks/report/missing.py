"""What a figure says while the stage that would fill it has not run."""

NO_SELECTION = "Not measured yet: no selection has been made in this lake."
NO_SCORES = "Not measured yet: no filter has scored the captions of this selection."
NO_RBM = "Not measured yet: no RBM has scored the pairs of this selection."
NO_MACHINE = "Not measured yet: no RBM has been fitted."
NO_TRUTH = "Not measured: nobody has written down which texts of these batches are wrong."
NO_TRAINING = "Not measured yet: no model has been trained."
NO_EVALUATION = "Not measured yet: no model has been evaluated."
