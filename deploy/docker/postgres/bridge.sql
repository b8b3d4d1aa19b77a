-- The bridges' record of answers, beside the gateway's store; at the first start only.
CREATE DATABASE bridge;
